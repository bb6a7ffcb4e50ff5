#pragma once
// text/csv: a row a line, the inputs' values one after another; no header, as SageMaker has it.
// How      Fields may be quoted. An empty field of a floating input is NaN.
// Errors   As codec.h, naming the line.
// Source   RFC 4180.

#include <string_view>
#include <vector>

#include "models/model_call.h"
#include "models/signature.h"

namespace samovar {

Result<ModelCall> DecodeCsv(const ModelSignature& signature, std::string_view text,
                            bool has_header);
Result<std::string> EncodeCsv(const ModelSignature& signature, const ModelCall& call,
                              const std::vector<Value>& outputs);

}  // namespace samovar
