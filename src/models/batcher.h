#pragma once
// Batcher: runs calls of one model, those that can be together as one batch.
//
// Why      A run costs more than a row; requests that wait anyway cost little more together.
// How      Calls that agree in everything but their rows are joined along the first dimension, up
//          to `max_rows`, and the outputs are cut apart again. When a batch fails, its calls are
//          run one by one, so that each gets its own answer. A model whose outputs do not come
//          apart by rows is never batched again.
// Errors   As OnnxModel::Run, for each call by itself; kTimeout for all of a batch whose run was
//          interrupted.
// Threads  One at a time.

#include <vector>

#include "base/error.h"
#include "models/model_call.h"
#include "models/onnx_model.h"

namespace samovar {

class Batcher {
 public:
  using Outcome = Result<std::vector<Value>>;

  // `max_rows` 1: no batching.
  Batcher(OnnxModel& model, std::size_t max_rows);

  // How many of `calls`, from the first on, go into the next run: at least 1.
  std::size_t NextBatch(const std::vector<const ModelCall*>& calls) const;
  // Whether a call that waits may still get company.
  bool MayGrow(const std::vector<const ModelCall*>& calls) const;
  // One outcome a call. REQUIRES: NextBatch chose them.
  std::vector<Outcome> Run(const std::vector<ModelCall*>& calls);

 private:
  bool Joins(const ModelCall& a, const ModelCall& b) const;
  Outcome RunTogether(const std::vector<ModelCall*>& calls);

  OnnxModel& model_;
  std::size_t max_rows_;
};

// Whether every input and output of the model has a first dimension that may be any.
bool CanBatch(const OnnxModel& model);
// The rows of a call; 0 where its inputs do not agree on them.
std::size_t RowsOf(const ModelCall& call);

}  // namespace samovar
