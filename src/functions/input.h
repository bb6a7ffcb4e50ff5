#pragma once
// Reading of an operation's input: members that src/wire has checked against the model already, so
// a wrong type reads as absent. And the errors that many operations share, as AWS words them.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/string.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

std::string_view TextOf(const boost::json::object& input, std::string_view key);  // "" if absent
std::optional<std::int64_t> IntOf(const boost::json::object& input, std::string_view key);
bool FlagOf(const boost::json::object& input, std::string_view key);
const boost::json::object* ObjectOf(const boost::json::object& input, std::string_view key);
const boost::json::array* ArrayOf(const boost::json::object& input, std::string_view key);
bool Has(const boost::json::object& input, std::string_view key);  // present and not null

std::unexpected<Error> InvalidParameter(std::string message);  // InvalidParameterValueException
std::unexpected<Error> NotFound(std::string message);          // ResourceNotFoundException
std::unexpected<Error> Conflict(std::string message);          // ResourceConflictException
std::unexpected<Error> Validation(std::string message);        // ValidationException
std::unexpected<Error> Unsupported(std::string message);
// 412. `call`: which API tells the latest revision.
std::unexpected<Error> StaleRevision(std::string_view call = "GetFunction/GetAlias");

// A page of `items` (each with a key, in order): those after `marker`, at most `limit`.
// Returns {first, one past the last}; `next` is the marker of the next page or "".
struct Page {
  std::size_t first = 0, last = 0;
  std::string next;
};
template <class Items, class KeyOf>
Page PageOf(const Items& items, const boost::json::object& input, std::size_t limit, KeyOf key_of) {
  const auto wanted = IntOf(input, "MaxItems");
  if (wanted && *wanted > 0 && static_cast<std::uint64_t>(*wanted) < limit) {
    limit = static_cast<std::size_t>(*wanted);
  }
  const auto marker = TextOf(input, "Marker");
  Page page;
  while (!marker.empty() && page.first < items.size() && key_of(items[page.first]) <= marker) {
    ++page.first;
  }
  page.last = std::min(items.size(), page.first + limit);
  if (page.last < items.size() && page.last > page.first) {
    page.next = std::string(key_of(items[page.last - 1]));
  }
  return page;
}

}  // namespace samovar
