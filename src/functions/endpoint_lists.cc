#include "functions/endpoint_lists.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "base/encoding.h"
#include "functions/input.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::int64_t kDefaultPage = 10;

double NumberOf(const json::object& input, std::string_view key, double otherwise) {
  const auto* value = input.if_contains(key);
  return value && value->is_number() ? value->to_number<double>() : otherwise;
}

bool Within(const json::object& input, std::string_view what, WallTime time) {
  const double at = EpochSeconds(time);
  return at < NumberOf(input, fmt::format("{}Before", what), 1e18) &&
         at > NumberOf(input, fmt::format("{}After", what), -1e18);
}

bool Wanted(const ListItem& item, const json::object& input) {
  const auto contains = TextOf(input, "NameContains");
  const auto status = TextOf(input, "StatusEquals");
  return item.name.find(contains) != std::string::npos &&
         (status.empty() || status == item.status) && Within(input, "CreationTime", item.created) &&
         Within(input, "LastModifiedTime", item.modified);
}

// What items are sorted by, as text that sorts so: the name comes last and makes it unique.
std::string SortKey(const ListItem& item, std::string_view by) {
  if (by == "Name") return item.name;
  if (by == "Status") return item.status + "\n" + item.name;
  return fmt::format("{:020.3f}\n{}", EpochSeconds(item.created), item.name);
}

}  // namespace

Result<json::object> ListPage(std::vector<ListItem> items, const json::object& input,
                              std::string_view key) {
  const auto by = TextOf(input, "SortBy");
  const bool ascending = TextOf(input, "SortOrder") == "Ascending";
  const auto token = TextOf(input, "NextToken");
  const auto after = Base64Decode(token);
  if (!after) {
    return Fail(Code::kInvalid, "The token in NextToken is not valid.", "ValidationException");
  }
  std::vector<std::pair<std::string, json::object*>> sorted;
  for (auto& item : items) {
    if (Wanted(item, input)) sorted.emplace_back(SortKey(item, by), &item.summary);
  }
  std::ranges::sort(sorted, [ascending](const auto& a, const auto& b) {
    return ascending ? a.first < b.first : a.first > b.first;
  });
  const auto limit = static_cast<std::size_t>(IntOf(input, "MaxResults").value_or(kDefaultPage));
  json::array page;
  std::string last;
  json::object answer;
  for (auto& [place, summary] : sorted) {
    if (!token.empty() && (ascending ? place <= *after : place >= *after)) continue;
    if (page.size() == limit) {
      answer["NextToken"] = Base64Encode(last);
      break;
    }
    page.push_back(std::move(*summary));
    last = place;
  }
  answer[key] = std::move(page);
  return answer;
}

}  // namespace samovar
