#pragma once
// OnnxModel: one loaded model file and its runs, on ONNX Runtime.
//
// Why      The worker has one model for its whole life; how it is run is known here and nowhere
//          else.
// How      With one thread (the default) ONNX Runtime starts none of its own, so that a worker can
//          be cloned; runs are then on the calling thread.
// Errors   Load: kInvalid named "Model.LoadFailed", "Model.TooLarge" (see model_file.h),
//          "Model.NoSuchProvider". Run: kInvalid with ONNX Runtime's own words; kTimeout after
//          Interrupt.
// Threads  One at a time; Interrupt from anywhere, also from a signal handler.

#include <memory>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/forest.h"
#include "models/tensor.h"

struct OrtValue;

namespace samovar {

struct ModelOptions {
  int threads = 1;                     // within one operator
  std::vector<std::string> providers;  // as ONNX Runtime names them; empty: the CPU
};

class OnnxModel {
 public:
  static Result<std::unique_ptr<OnnxModel>> Load(const std::string& path,
                                                 const ModelOptions& options);
  // The same with its tree ensembles walked by Forest. kUnsupported where it has none, or such as
  // Forest does not take; whether it answers the same is for the caller to try.
  static Result<std::unique_ptr<OnnxModel>> LoadForests(const std::string& path,
                                                        const ModelOptions& options);
  ~OnnxModel();

  const std::vector<ValueInfo>& Inputs() const { return inputs_; }
  const std::vector<ValueInfo>& Outputs() const { return outputs_; }

  std::vector<const Forest*> Forests() const;  // those that LoadForests found

  // `inputs` in the order of Inputs(); kNone where one is left out. `wanted`: indexes of Outputs().
  // The values may be used as scratch memory.
  Result<std::vector<Value>> Run(std::vector<Value>& inputs,
                                 const std::vector<std::size_t>& wanted);

  // Ends the run that is under way, at its next operator, and every later one until Resume.
  void Interrupt();
  void Resume();

 private:
  struct Session;
  explicit OnnxModel(std::unique_ptr<Session> session);
  template <class Create>
  static Result<std::unique_ptr<OnnxModel>> Open(const ModelOptions& options,
                                                 std::unique_ptr<Session> session, Create create);
  Result<void> Describe();
  Result<const OrtValue*> EmptySequenceOf(ElementType type);

  std::unique_ptr<Session> session_;
  std::vector<ValueInfo> inputs_;
  std::vector<ValueInfo> outputs_;
};

}  // namespace samovar
