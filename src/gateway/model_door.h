#pragma once
// ModelDoor: what the doors to models have in common: a call of a function with a payload of any
// kind, model metadata, readiness, the repository.
//
// Why      SageMaker, Open Inference over HTTP and over gRPC differ in names and headers only; the
//          worker (runtime onnx) decodes every payload itself, so that all give the same answer.
// How      A function that is no model takes JSON only; binary tensors are made JSON for it. An
//          unloaded model is a function with reserved concurrency 0 and the tag samovar:unloaded,
//          which holds what was reserved before: so it is durable, and all doors see it.
// Errors   kNotFound for no such model, kUnavailable while it is unloaded, the model's own errors
//          with Failure.
// Threads  The event loop only.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>
#include <utility>

#include "gateway/gateway_core.h"
#include "wire/infer_message.h"

namespace samovar {

inline constexpr std::string_view kModelRuntime = "onnx";
inline constexpr std::string_view kUnloadedTag = "samovar:unloaded";

// Whether its runtime takes payloads of any content type.
bool IsModel(const Version& version);

// The error of a function, as its error JSON has it.
struct FunctionFailure {
  std::string type;       // "Model.InvalidInput"
  std::string message;    // errorMessage
  unsigned status = 500;  // 4xx: the request was wrong; 0: no answer in time
};
FunctionFailure ReadFailure(const InvocationResult& result);

struct ModelRequest {
  std::string model;    // a function's name
  std::string version;  // its version or alias, or ""
  std::string request_id;
  std::string trace_id;  // as sent, or ""
  Deadline deadline;
  std::shared_ptr<const void> room = {};  // as Invocation's
};

class ModelDoor {
 public:
  // Why versions cannot be loaded, by function and number.
  using Failures = std::map<std::pair<std::string, std::string>, std::string>;

  explicit ModelDoor(GatewayCore& core) : core_(core) {}

  Task<Result<Resolved>> Resolve(std::string model, std::string version);
  Invocation Prepare(const ModelRequest& request, Resolved resolved, std::string payload) const;

  // Room for a message of that size (Invocation's); kOverloaded where there is none in time.
  Task<Result<std::shared_ptr<const void>>> TakeRoom(std::uint64_t bytes);
  // An inference of the protocol v2, in either form of body.
  Task<Result<InferBody>> Infer(ModelRequest request, InferBody body);
  // v2 metadata, with the versions that the registry has.
  Task<Result<boost::json::object>> Metadata(ModelRequest request);
  // Whether a call would find it, and its last start did not fail; starts nothing.
  Task<Result<void>> Ready(std::string model, std::string version);
  // Starts an instance of a model, so that the first call finds it loaded.
  Task<Result<void>> WarmUp(ModelRequest request);

  Task<Result<boost::json::array>> Index(bool ready_only);
  Task<Result<void>> Load(ModelRequest request);
  Task<Result<void>> Unload(std::string model);

 private:
  Task<Result<InvocationResult>> Ask(Invocation invocation);
  Failures LoadFailures() const;
  Task<boost::json::array> VersionsOf(std::string model);
  Task<Result<boost::json::object>> DescribeFunction(std::string model);

  GatewayCore& core_;
};

}  // namespace samovar
