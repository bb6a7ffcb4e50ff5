#pragma once
// EmptySequence: a sequence of no tensors, as an input.
//
// Why      ONNX Runtime's C API makes a sequence of values, and of no value none.
// How      A model of one SequenceEmpty gives one.
// Errors   As ONNX Runtime words them.

#include "base/error.h"
#include "models/element_type.h"
#include "models/ort.h"

namespace samovar {

Result<OrtOwned<OrtValue>> EmptySequence(const OrtEnv* env, const OrtSessionOptions* options,
                                         ElementType type);

}  // namespace samovar
