#pragma once
// Values of ours to ONNX Runtime's and back, and what a session says of its inputs and outputs.
// Errors   kInvalid with ONNX Runtime's message; kUnsupported for kinds of values that no payload
//          can carry (sparse tensors, opaque types).

#include <onnxruntime_c_api.h>

#include "base/error.h"
#include "models/ort.h"
#include "models/tensor.h"

namespace samovar {

// A tensor of numbers uses `value`'s memory, which must outlive it. None is a null pointer.
Result<OrtOwned<OrtValue>> ToOrt(Value& value, const OrtMemoryInfo* memory);
Result<Value> FromOrt(const OrtValue* value);
// Without its name.
Result<ValueInfo> DescribeType(const OrtTypeInfo* info);

}  // namespace samovar
