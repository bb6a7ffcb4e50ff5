#pragma once
// Attributes: what a row says of itself, a JSON object in one canonical text.
//
// Why      A filter looks at them row by row, so they are compared as text: a string or number has
//          one spelling, members keep the order in which they came.
// Errors   kInvalid, kTooLarge past kMaxAttributes.

#include <functional>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

// The text of a JSON object in canonical form: no white space, one spelling of each value.
Result<std::string> CanonicalAttributes(std::string_view json);
// `attributes` with the members of `patch` in place of its own; null takes one away. Both
// canonical.
Result<std::string> MergeAttributes(std::string_view attributes, std::string_view patch);

// The member's value in canonical attributes, as its text; empty where there is none. `name` is in
// quotes, as CanonicalAttributes writes it.
std::string_view FindMember(std::string_view attributes, std::string_view name);
// Calls `visit` with the value, or with each element where it is an array, until it answers true.
// Whether it did.
bool AnyElement(std::string_view value, const std::function<bool(std::string_view)>& visit);

}  // namespace samovar
