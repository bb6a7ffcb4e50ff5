#pragma once
// ProbeBatching: whether a model answers a row the same whatever rows stand beside it.
//
// Why      A first dimension that may be any need not be one of rows: a model may take the mean
//          over it, and one may add up in another order when it has more to do. Batching must
//          change no answer, so it is tried before it is used.
// How      Rows of random values (or those given) are run one by one and in batches of several
//          sizes; the answers must agree to the last bit.
// Errors   None: a model that fails on such rows is not batched, with the reason.

#include <string>
#include <vector>

#include "models/model_call.h"
#include "models/onnx_model.h"
#include "models/signature.h"

namespace samovar {

struct BatchingVerdict {
  bool same = false;
  std::string reason;  // why not, for the log
};

// `given`: calls of one row, from samovar.yaml; may be empty.
BatchingVerdict ProbeBatching(OnnxModel& model, const ModelSignature& signature,
                              std::size_t max_rows, const std::vector<ModelCall>& given);

}  // namespace samovar
