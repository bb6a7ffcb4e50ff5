#pragma once
// ModelPackage: a model as its package describes it: loaded, with its settings, warmed up.
// Errors   kInvalid, named: "Model.LoadFailed", "Model.TooLarge", "Model.InvalidSettings",
//          "Model.NoSuchProvider", "Model.WarmUpFailed".
// Threads  One at a time.

#include <memory>
#include <string>

#include "base/error.h"
#include "models/batcher.h"
#include "models/codec.h"
#include "models/model_settings.h"
#include "models/onnx_model.h"
#include "models/signature.h"

namespace samovar {

struct ModelPackage {
  ModelSettings settings;
  std::unique_ptr<OnnxModel> model;
  ModelSignature signature;
  std::unique_ptr<ModelCodec> codec;
  std::unique_ptr<Batcher> batcher;
  std::string batching;  // "on", or "off: " and why
  std::string trees;     // who walks them, and why
  std::string random;    // an operator that draws random numbers; "": none does
};

struct PackageOptions {
  std::string folder;  // holds model.onnx and, where wanted, samovar.yaml
  std::string file = "model.onnx";
  std::string name;  // as clients see the model
  std::string version;
};

// On the heap and never moved: the codec refers to the signature.
Result<std::unique_ptr<ModelPackage>> OpenModelPackage(const PackageOptions& options);

}  // namespace samovar
