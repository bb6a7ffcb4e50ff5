#pragma once
// JSON text: strings and values of tensors as JSON.
// How      Lists follow the shape; a complex number is a pair [re, im]; bytes that are not UTF-8
//          become U+FFFD, since JSON has no other bytes; numbers as AppendElement has them.

#include <string>
#include <string_view>

#include "models/tensor.h"

namespace samovar {

void AppendJsonString(std::string_view text, std::string& out);
void AppendFlatTensor(const Tensor& tensor, std::string& out);    // [1,2,3,4]
void AppendNestedTensor(const Tensor& tensor, std::string& out);  // [[1,2],[3,4]]; 1 for rank 0
// The row `index` along the first dimension, nested.
void AppendRow(const Tensor& tensor, std::size_t index, std::string& out);
// Sequences are lists, maps are objects, none is null.
void AppendValue(const Value& value, std::string& out);

}  // namespace samovar
