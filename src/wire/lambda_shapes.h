#pragma once
// The shapes of Lambda's service model in memory, and the constraints that each puts on a value.
// Private to the lambda_*.cc files of this room.

#include <re2/re2.h>

#include <boost/json/fwd.hpp>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace samovar {

enum class ShapeType : char {
  kString = 's',
  kInteger = 'i',
  kLong = 'l',
  kDouble = 'd',
  kBoolean = 'b',
  kBlob = 'x',
  kTimestamp = 'T',
  kStructure = '{',
  kList = '[',
  kMap = 'm',
};

enum class Place : char { kUri = 'u', kQuery = 'q', kHeader = 'h', kBody = 'b' };

struct ShapeMember {
  std::string name;       // "MemorySize"
  std::string path_name;  // "memorySize", as messages have it
  Place place;
  std::string wire_name;  // of the header, query parameter or JSON member
  std::uint16_t shape;
  bool required;
};

struct Shape {
  ShapeType type{};
  std::optional<double> low, high;
  std::string pattern;  // as messages print it
  std::unique_ptr<RE2> matches, refuses;
  std::vector<std::string> values;     // of an enum, as messages print them
  std::vector<std::string> unprinted;  // accepted too
  std::vector<ShapeMember> members;
  std::uint16_t of = 0, key = 0;
  bool secret = false;
  bool null_members = false;

  explicit Shape(const boost::json::object& from);

  // Every constraint of a scalar shape in AWS's words and order.
  std::vector<std::string> Constraints() const;
  // Those that a string, or a number, breaks.
  std::vector<std::string> Broken(std::string_view value) const;
  std::vector<std::string> Broken(double value) const;
  // Those on a list's or map's size that `count` breaks.
  std::vector<std::string> BrokenCount(std::size_t count) const;

 private:
  std::string AtMost(std::string_view what) const;
  std::string AtLeast(std::string_view what) const;
  std::string InPattern() const;
  std::string InValues() const;
};

}  // namespace samovar
