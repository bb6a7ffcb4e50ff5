#pragma once
// CheckForests: whether a model whose trees Forest walks answers as ONNX Runtime alone does.
//
// Why      A prediction must not depend on who walks the trees; and how ONNX Runtime reads an
//          ensemble may change with its version.
// How      Both get the same rows: random ones, such that lie on the limits of the trees and next
//          to them, and such of NaN, infinities and both zeros; alone and in batches of several
//          sizes. The answers must agree to the last bit.
// Errors   None: a model that fails on such rows is not the same, with the reason.

#include <string>

#include "models/onnx_model.h"
#include "models/signature.h"

namespace samovar {

struct ForestVerdict {
  bool same = false;
  std::string reason;  // why not, for the log
};

ForestVerdict CheckForests(OnnxModel& plain, OnnxModel& forests, const ModelSignature& signature);

}  // namespace samovar
