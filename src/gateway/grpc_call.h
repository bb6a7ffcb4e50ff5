#pragma once
// Parts of one gRPC call: its caller, its status, its one end, and a stream of requests. Private to
// grpc_door.cc, as it knows gRPC's types.

#include <gateway_proto/open_inference.grpc.pb.h>
#include <grpcpp/grpcpp.h>

#include <chrono>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>

#include "base/error.h"

namespace samovar {

inline grpc::StatusCode StatusCodeOf(Code code) {
  switch (code) {
    case Code::kNotFound:
      return grpc::StatusCode::NOT_FOUND;
    case Code::kDenied:
      return grpc::StatusCode::UNAUTHENTICATED;
    case Code::kTooLarge:
    case Code::kThrottled:
      return grpc::StatusCode::RESOURCE_EXHAUSTED;
    case Code::kUnsupported:
      return grpc::StatusCode::UNIMPLEMENTED;
    case Code::kTimeout:
      return grpc::StatusCode::DEADLINE_EXCEEDED;
    case Code::kOverloaded:
    case Code::kUnavailable:
      return grpc::StatusCode::UNAVAILABLE;
    case Code::kInternal:
      return grpc::StatusCode::INTERNAL;
    case Code::kConflict:
    case Code::kPrecondition:
      return grpc::StatusCode::FAILED_PRECONDITION;
    case Code::kInvalid:
      break;
  }
  return grpc::StatusCode::INVALID_ARGUMENT;
}

inline grpc::Status StatusOf(const Result<void>& result) {
  if (result) return grpc::Status::OK;
  return {StatusCodeOf(result.error().code), result.error().message};
}

inline const grpc::Status kStopping(grpc::StatusCode::UNAVAILABLE, "the server is stopping");

inline std::string Metadata(const grpc::ServerContextBase& context, const char* key) {
  const auto& all = context.client_metadata();
  const auto found = all.find(key);
  if (found == all.end()) return {};
  return {found->second.data(), found->second.size()};
}

// Says how a call ended, once, whoever lets go of it last.
class Finish {
 public:
  explicit Finish(std::function<void(grpc::Status)> say) : say_(std::move(say)) {}
  ~Finish() {
    if (say_) say_(kStopping);
  }
  Finish(const Finish&) = delete;
  Finish& operator=(const Finish&) = delete;
  void With(grpc::Status status) { std::exchange(say_, nullptr)(std::move(status)); }

 private:
  std::function<void(grpc::Status)> say_;
};

// What a call says of its caller, read before it hops onto the loop.
struct Caller {
  std::string authorization;
  std::string trace_id;
  std::chrono::system_clock::time_point deadline;
};

inline Caller CallerOf(const grpc::ServerContextBase& context) {
  return {Metadata(context, "authorization"), Metadata(context, "x-amzn-trace-id"),
          context.deadline()};
}

// A call while gRPC has it: by this it may be broken off from any thread.
class OpenCall {
 public:
  explicit OpenCall(grpc::CallbackServerContext& context) : context_(&context) {}
  void BreakOff() {
    std::lock_guard lock(mutex_);
    if (context_) context_->TryCancel();
  }
  void Over() {
    std::lock_guard lock(mutex_);
    context_ = nullptr;
  }

  std::uint64_t held = 0;  // its answer's number in GrpcAnswers; set before that is sent

 private:
  std::recursive_mutex mutex_;  // TryCancel may end the call in the same thread
  grpc::CallbackServerContext* context_;
};

using Release = std::function<void(std::uint64_t held)>;  // from any thread

// A call with one answer.
class UnaryCall final : public grpc::ServerUnaryReactor {
 public:
  UnaryCall(grpc::CallbackServerContext& context, Release release)
      : open(std::make_shared<OpenCall>(context)), release_(std::move(release)) {}

  void OnDone() override {
    open->Over();
    release_(open->held);
    delete this;
  }

  const std::shared_ptr<OpenCall> open;

 private:
  Release release_;
};

// Triton's: whoever asks for the end of a request's answers gets it with the only one.
inline constexpr const char* kWantsFinal = "triton_enable_empty_final_response";
inline constexpr const char* kFinal = "triton_final_response";

// Requests of one stream, answered in order, one at a time; an error is an answer too.
class InferStream final : public grpc::ServerBidiReactor<inference::ModelInferRequest,
                                                         inference::ModelStreamInferResponse> {
 public:
  using Infer = std::function<void(InferStream& stream)>;  // ends with Answered

  InferStream(grpc::CallbackServerContext& context, Infer infer, Release release)
      : open(std::make_shared<OpenCall>(context)),
        infer_(std::move(infer)),
        release_(std::move(release)) {
    StartRead(&request);
  }

  void Answered(grpc::Status status) {
    if (!status.ok()) {
      response.clear_infer_response();
      response.set_error_message(status.error_message());
    } else if (request.parameters().contains(kWantsFinal)) {
      auto& parameters = *response.mutable_infer_response()->mutable_parameters();
      parameters[kFinal].set_bool_param(true);
    }
    StartWrite(&response);
  }

  void OnReadDone(bool ok) override {
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    response.Clear();
    infer_(*this);
  }
  void OnWriteDone(bool ok) override {
    release_(std::exchange(open->held, 0));
    if (!ok) {
      Finish(grpc::Status::OK);
      return;
    }
    request.Clear();
    StartRead(&request);
  }
  void OnDone() override {
    open->Over();
    delete this;
  }

  inference::ModelInferRequest request;
  inference::ModelStreamInferResponse response;
  const std::shared_ptr<OpenCall> open;

 private:
  Infer infer_;
  Release release_;
};

}  // namespace samovar
