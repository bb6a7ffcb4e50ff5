#pragma once
// Filter: which rows a search may answer, by their attributes.
//
// How      {"eq": {"year": 1999}}, {"range": {"year": {"gte": 1990, "lt": 2000}}},
//          {"in": {"genre": ["Drama", "War"]}}, {"and": [..]}, {"or": [..]}, {"not": {..}}. A
//          member that is an array fits when one of its elements does; one that is not there fits
//          nothing. Numbers compare as numbers, strings by their bytes.
// Errors   Parse: kInvalid, naming the place.
// Threads  Immutable.

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

class Filter {
 public:
  class Node;

  Filter() = default;  // every row
  static Result<Filter> Parse(std::string_view json);

  bool All() const { return root_ == nullptr; }
  bool Matches(std::string_view attributes) const;

 private:
  std::shared_ptr<const Node> root_;
};

}  // namespace samovar
