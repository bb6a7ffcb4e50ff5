#pragma once
// JSON of a request's body, parsed with the error that Lambda gives for what is no JSON.
// Errors   InvalidRequestContentException "Could not parse request body into json: WHY at line: L,
//          column: C".

#include <boost/json/value.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

Result<boost::json::value> ParseRequestJson(std::string_view body);
// Whether `text` is JSON; the reason and its place where it is not. Builds no value.
Result<void> ValidateJson(std::string_view text, std::string_view what_failed);

}  // namespace samovar
