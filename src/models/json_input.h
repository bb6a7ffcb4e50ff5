#pragma once
// JSON to values of a model's inputs.
//
// Why      simdjson, not Boost.JSON: a request is mostly numbers, which it reads several times
//          faster and rounds exactly.
// How      Nested lists give the shape. Numbers become what the input's type is: a fraction is
//          refused where whole numbers are wanted, and so is what does not fit. For floating types
//          null is NaN, and "NaN", "Infinity", "-Infinity" are what they say.
// Errors   kInvalid "Model.InvalidInput".

#include <simdjson.h>

#include <string_view>
#include <vector>

#include "models/signature.h"

namespace samovar {

// A value of `info`'s kind; its shape conforms.
Result<Value> ValueFromJson(const ValueInfo& info, simdjson::dom::element json);
// One row each: the parts of a tensor whose first dimension counts them.
Result<Value> ValueFromRows(const ValueInfo& info, const std::vector<simdjson::dom::element>& rows);
// Elements for a tensor that has its shape, nested or not.
Result<void> FillFlat(const ValueInfo& info, simdjson::dom::element json, Tensor& tensor);

}  // namespace samovar
