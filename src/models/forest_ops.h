#pragma once
// ForestOps: forests as operators of ONNX Runtime, "Forest0", "Forest1", ... in kForestDomain.
// Errors   As ONNX Runtime words them. At a run: rows that are too short.
// Threads  Immutable once made; outlives every session that uses it.

#include <memory>
#include <vector>

#include "base/error.h"
#include "models/forest_file.h"
#include "models/ort.h"

namespace samovar {

class ForestOps {
 public:
  static Result<ForestOps> Of(std::vector<AnyForest> forests);
  ForestOps(ForestOps&&) noexcept;
  ForestOps& operator=(ForestOps&&) noexcept;
  ~ForestOps();

  Result<void> AddTo(OrtSessionOptions* options) const;
  std::vector<const Forest*> Forests() const;

 private:
  struct Op;
  ForestOps();

  std::vector<std::unique_ptr<Op>> ops_;
  OrtOwned<OrtCustomOpDomain> domain_;
};

}  // namespace samovar
