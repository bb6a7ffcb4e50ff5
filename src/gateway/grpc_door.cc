#include "gateway/grpc_door.h"

#include <fmt/format.h>
#include <gateway_proto/open_inference.grpc.pb.h>
#include <grpc/support/log.h>
#include <grpcpp/grpcpp.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/ids.h"
#include "gateway/grpc_answers.h"
#include "gateway/grpc_bounds.h"
#include "gateway/grpc_call.h"
#include "gateway/grpc_messages.h"
#include "gateway/inference_api.h"
#include "os/memory.h"

namespace samovar {
namespace {

using grpc::CallbackServerContext;
using grpc::ServerUnaryReactor;
using grpc::Status;
using grpc::StatusCode;

// What a call does on the loop; its answer is in the message that gRPC holds for it.
using Work = std::function<Task<Result<void>>(Caller caller)>;

constexpr std::chrono::seconds kLook{2};
constexpr Bytes kMuchFree = Bytes::MiB(256);

}  // namespace

struct GrpcDoor::State final : inference::GRPCInferenceService::CallbackService {
  State(Executor on, BlockingPool& blocking, const Clock& time, ModelDoor& door,
        const KeyStore& keys, bool loopback, GrpcOptions with)
      : loop(std::move(on)),
        pool(blocking),
        clock(time),
        models(door),
        access(keys, time, loopback),
        options(std::move(with)),
        tasks(loop),
        upkeep(loop),
        answers(std::make_shared<GrpcAnswers>(clock)) {}

  // Who is asked, and where the answer will be.
  struct Call {
    Caller caller;
    std::shared_ptr<OpenCall> open;
    const google::protobuf::MessageLite* response;
  };
  // All from any thread.
  void Spawn(Call call, Work work, std::function<void(Status)> finish);
  template <class Response>
  ServerUnaryReactor* Answer(CallbackServerContext* context, Response* response, Work work);
  Release Releasing();

  Task<void> Run(Call call, Work work, std::shared_ptr<Finish> finish);
  Result<void> Hold(const Call& call);
  Task<Result<std::shared_ptr<const void>>> TakeRoom(std::uint64_t bytes);
  Task<void> LookAfter();
  ModelRequest Ask(std::string model, std::string version, const Caller& caller) const;
  Task<Result<void>> Infer(inference::ModelInferRequest* request,
                           inference::ModelInferResponse* response, Caller caller);

  ServerUnaryReactor* ServerLive(CallbackServerContext* context,
                                 const inference::ServerLiveRequest*,
                                 inference::ServerLiveResponse* response) override;
  ServerUnaryReactor* ServerReady(CallbackServerContext* context,
                                  const inference::ServerReadyRequest*,
                                  inference::ServerReadyResponse* response) override;
  ServerUnaryReactor* ModelReady(CallbackServerContext* context,
                                 const inference::ModelReadyRequest* request,
                                 inference::ModelReadyResponse* response) override;
  ServerUnaryReactor* ServerMetadata(CallbackServerContext* context,
                                     const inference::ServerMetadataRequest*,
                                     inference::ServerMetadataResponse* response) override;
  ServerUnaryReactor* ModelMetadata(CallbackServerContext* context,
                                    const inference::ModelMetadataRequest* request,
                                    inference::ModelMetadataResponse* response) override;
  ServerUnaryReactor* ModelInfer(CallbackServerContext* context,
                                 const inference::ModelInferRequest* request,
                                 inference::ModelInferResponse* response) override;
  grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
  ModelStreamInfer(CallbackServerContext* context) override;
  ServerUnaryReactor* ModelConfig(CallbackServerContext* context,
                                  const inference::ModelConfigRequest* request,
                                  inference::ModelConfigResponse* response) override;
  ServerUnaryReactor* RepositoryIndex(CallbackServerContext* context,
                                      const inference::RepositoryIndexRequest* request,
                                      inference::RepositoryIndexResponse* response) override;
  ServerUnaryReactor* RepositoryModelLoad(CallbackServerContext* context,
                                          const inference::RepositoryModelLoadRequest* request,
                                          inference::RepositoryModelLoadResponse*) override;
  ServerUnaryReactor* RepositoryModelUnload(CallbackServerContext* context,
                                            const inference::RepositoryModelUnloadRequest* request,
                                            inference::RepositoryModelUnloadResponse*) override;

  Executor loop;
  BlockingPool& pool;
  const Clock& clock;
  ModelDoor& models;
  Access access;
  GrpcOptions options;
  TaskGroup tasks;
  TaskGroup upkeep;
  std::shared_ptr<GrpcAnswers> answers;
  std::uint64_t waiting = 0;  // bytes of messages that have come and wait for room
  bool stopping = false;      // touched on the loop only
  std::unique_ptr<grpc::Server> server;
};

void GrpcDoor::State::Spawn(Call call, Work work, std::function<void(Status)> finish) {
  auto end = std::make_shared<Finish>(std::move(finish));
  asio::post(
      loop, [this, call = std::move(call), work = std::move(work), end = std::move(end)]() mutable {
        if (stopping) return;
        if (tasks.Running() + answers->Count() >= options.max_running) {
          end->With({StatusCode::RESOURCE_EXHAUSTED, "too many calls are running"});
          return;
        }
        tasks.Spawn(Run(std::move(call), std::move(work), std::move(end)));
      });
}

Task<void> GrpcDoor::State::Run(Call call, Work work, std::shared_ptr<Finish> finish) {
  Result<void> done;
  if (!access.Open()) done = access.CheckBasic(call.caller.authorization);
  if (done) done = co_await work(std::move(call.caller));
  if (done) done = Hold(call);
  finish->With(StatusOf(done));
}

// gRPC has it twice for a while: as the message, and as what is sent.
Result<void> GrpcDoor::State::Hold(const Call& call) {
  auto held =
      answers->Hold({2 * call.response->ByteSizeLong()}, [open = call.open] { open->BreakOff(); });
  TRY(call.open->held, std::move(held));
  return {};
}

Release GrpcDoor::State::Releasing() {
  return [on = loop, all = answers](std::uint64_t held) {
    if (held != 0) asio::post(on, [all, held] { all->Release(held); });
  };
}

template <class Response>
ServerUnaryReactor* GrpcDoor::State::Answer(CallbackServerContext* context, Response* response,
                                            Work work) {
  auto* reactor = new UnaryCall(*context, Releasing());
  Spawn({CallerOf(*context), reactor->open, response}, std::move(work),
        [reactor](Status status) { reactor->Finish(std::move(status)); });
  return reactor;
}

// Nobody tells what was received of messages that were broken off.
Task<void> GrpcDoor::State::LookAfter() {
  asio::steady_timer timer(loop);
  bool much = false;
  while (true) {
    timer.expires_after(kLook);
    auto [error] = co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
    if (error) co_return;
    answers->BreakOffLate();
    const bool before = std::exchange(much, FreeMemoryKept() > kMuchFree);
    if (before && much) {
      co_await RunBlocking(pool, [] { GiveBackFreeMemory(); });
      much = false;
    }
  }
}

ModelRequest GrpcDoor::State::Ask(std::string model, std::string version,
                                  const Caller& caller) const {
  Deadline deadline = Deadline::Never();
  const auto left = caller.deadline - clock.Wall();
  if (left < std::chrono::hours(24)) deadline = Deadline::After(clock, left);
  return {.model = std::move(model),
          .version = std::move(version),
          .request_id = NewUuid(),
          .trace_id = caller.trace_id,
          .deadline = deadline};
}

Task<Result<std::shared_ptr<const void>>> GrpcDoor::State::TakeRoom(std::uint64_t bytes) {
  if (waiting > 0 && waiting + bytes > options.receiving.count) {
    co_return Fail(Code::kThrottled,
                   fmt::format("messages of {} MiB wait already; try again", waiting >> 20));
  }
  waiting += bytes;
  auto room = co_await models.TakeRoom(bytes);
  waiting -= bytes;
  co_return room;
}

Task<Result<void>> GrpcDoor::State::Infer(inference::ModelInferRequest* request,
                                          inference::ModelInferResponse* response, Caller caller) {
  auto asked = Ask(request->model_name(), request->model_version(), caller);
  if (const auto size = request->ByteSizeLong(); size > BodyRooms::kSmall) {
    CO_TRY(asked.room, co_await TakeRoom(size));
  }
  CO_TRY(auto message, FromProto(*request));
  auto body = EncodeBinaryRequest(message);
  message.inputs.clear();  // they are in the body now
  CO_TRY(auto answer, co_await models.Infer(std::move(asked), std::move(body)));
  auto read = DecodeInferBody(answer.content_type, answer.body);
  if (!read) {
    co_return Fail(Code::kInternal,
                   "what was answered is no answer of the protocol: " + read.error().message);
  }
  if (read->model_name.empty()) read->model_name = message.model_name;
  if (read->id.empty()) read->id = message.id;
  ToProto(*std::move(read), *response);
  co_return Result<void>();
}

ServerUnaryReactor* GrpcDoor::State::ServerLive(CallbackServerContext* context,
                                                const inference::ServerLiveRequest*,
                                                inference::ServerLiveResponse* response) {
  response->set_live(true);
  auto* reactor = context->DefaultReactor();
  reactor->Finish(Status::OK);  // a probe has no keys
  return reactor;
}

ServerUnaryReactor* GrpcDoor::State::ServerReady(CallbackServerContext* context,
                                                 const inference::ServerReadyRequest*,
                                                 inference::ServerReadyResponse* response) {
  response->set_ready(true);
  auto* reactor = context->DefaultReactor();
  reactor->Finish(Status::OK);
  return reactor;
}

ServerUnaryReactor* GrpcDoor::State::ModelReady(CallbackServerContext* context,
                                                const inference::ModelReadyRequest* request,
                                                inference::ModelReadyResponse* response) {
  return Answer(context, response, [this, request, response](Caller) -> Task<Result<void>> {
    auto ready = co_await models.Ready(request->name(), request->version());
    response->set_ready(ready.has_value());
    co_return Result<void>();
  });
}

ServerUnaryReactor* GrpcDoor::State::ServerMetadata(CallbackServerContext* context,
                                                    const inference::ServerMetadataRequest*,
                                                    inference::ServerMetadataResponse* response) {
  return Answer(context, response, [this, response](Caller) -> Task<Result<void>> {
    auto metadata = InferenceServerMetadata(options.version);
    response->set_name(std::string(metadata.at("name").as_string()));
    response->set_version(options.version);
    for (auto& extension : metadata.at("extensions").as_array()) {
      response->add_extensions(std::string(extension.as_string()));
    }
    co_return Result<void>();
  });
}

ServerUnaryReactor* GrpcDoor::State::ModelMetadata(CallbackServerContext* context,
                                                   const inference::ModelMetadataRequest* request,
                                                   inference::ModelMetadataResponse* response) {
  return Answer(context, response, [this, request, response](Caller caller) -> Task<Result<void>> {
    auto asked = Ask(request->name(), request->version(), caller);
    CO_TRY(auto metadata, co_await models.Metadata(std::move(asked)));
    ToProto(metadata, *response);
    co_return Result<void>();
  });
}

ServerUnaryReactor* GrpcDoor::State::ModelInfer(CallbackServerContext* context,
                                                const inference::ModelInferRequest* request,
                                                inference::ModelInferResponse* response) {
  // gRPC made the message for this call alone; its tensors are taken out, not copied.
  auto* own = const_cast<inference::ModelInferRequest*>(request);
  return Answer(context, response, [this, own, response](Caller caller) {
    return Infer(own, response, std::move(caller));
  });
}

ServerUnaryReactor* GrpcDoor::State::ModelConfig(CallbackServerContext* context,
                                                 const inference::ModelConfigRequest* request,
                                                 inference::ModelConfigResponse* response) {
  return Answer(context, response, [this, request, response](Caller caller) -> Task<Result<void>> {
    auto asked = Ask(request->name(), request->version(), caller);
    CO_TRY(auto metadata, co_await models.Metadata(std::move(asked)));
    ToProto(ModelConfigOf(metadata), *response->mutable_config());
    co_return Result<void>();
  });
}

ServerUnaryReactor* GrpcDoor::State::RepositoryIndex(
    CallbackServerContext* context, const inference::RepositoryIndexRequest* request,
    inference::RepositoryIndexResponse* response) {
  return Answer(context, response, [this, request, response](Caller) -> Task<Result<void>> {
    CO_TRY(auto index, co_await models.Index(request->ready()));
    ToProto(index, *response);
    co_return Result<void>();
  });
}

ServerUnaryReactor* GrpcDoor::State::RepositoryModelLoad(
    CallbackServerContext* context, const inference::RepositoryModelLoadRequest* request,
    inference::RepositoryModelLoadResponse* response) {
  return Answer(context, response, [this, request](Caller caller) -> Task<Result<void>> {
    if (!request->parameters().empty()) {
      co_return Fail(Code::kUnsupported,
                     "parameters: a model is deployed with CreateFunction or "
                     "samovar deploy, not by loading it");
    }
    auto asked = Ask(request->model_name(), "", caller);
    co_return co_await models.Load(std::move(asked));
  });
}

ServerUnaryReactor* GrpcDoor::State::RepositoryModelUnload(
    CallbackServerContext* context, const inference::RepositoryModelUnloadRequest* request,
    inference::RepositoryModelUnloadResponse* response) {
  return Answer(context, response, [this, request](Caller) -> Task<Result<void>> {
    co_return co_await models.Unload(request->model_name());
  });
}

grpc::ServerBidiReactor<inference::ModelInferRequest, inference::ModelStreamInferResponse>*
GrpcDoor::State::ModelStreamInfer(CallbackServerContext* context) {
  auto infer = [this, caller = CallerOf(*context)](InferStream& stream) {
    Spawn(
        {caller, stream.open, &stream.response},
        [this, &stream](Caller its) {
          return Infer(&stream.request, stream.response.mutable_infer_response(), std::move(its));
        },
        [&stream](Status status) { stream.Answered(std::move(status)); });
  };
  return new InferStream(*context, std::move(infer), Releasing());
}

GrpcDoor::GrpcDoor(Executor loop, BlockingPool& pool, const Clock& clock, ModelDoor& models,
                   const KeyStore& keys, bool loopback, GrpcOptions options)
    : state_(std::make_unique<State>(std::move(loop), pool, clock, models, keys, loopback,
                                     std::move(options))) {}

GrpcDoor::~GrpcDoor() = default;

Result<std::uint16_t> GrpcDoor::Listen(const std::string& host, std::uint16_t port) {
  grpc::ServerBuilder builder;
  int bound = 0;
  std::string address = host.find(':') == host.npos ? fmt::format("{}:{}", host, port)
                                                    : fmt::format("[{}]:{}", host, port);
  builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &bound);
  builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);  // a taken port is an error
  builder.SetMaxReceiveMessageSize(static_cast<int>(state_->options.max_message.count));
  builder.SetMaxSendMessageSize(-1);
  SetBounds(builder, state_->options.receiving);
  builder.RegisterService(state_.get());
  // Why it does not is said by us.
  gpr_set_log_function([](gpr_log_func_args*) {});
  state_->server = builder.BuildAndStart();
  gpr_set_log_function(nullptr);
  if (!state_->server || bound == 0) {
    return Fail(Code::kUnavailable, fmt::format("listen on {}: the address is taken or not this "
                                                "machine's",
                                                address));
  }
  state_->upkeep.Spawn(state_->LookAfter());
  return static_cast<std::uint16_t>(bound);
}

Task<void> GrpcDoor::Stop(Deadline deadline) {
  if (!state_->server) co_return;
  auto& state = *state_;
  state.stopping = true;
  // New connections and calls are refused from here on; those that wait for the loop find out.
  asio::steady_timer timer(state.loop);
  while (state.tasks.Running() > 0 && !deadline.Passed(state.clock.Now())) {
    timer.expires_after(std::chrono::milliseconds(10));
    co_await timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
  }
  co_await state.tasks.Stop();
  co_await state.upkeep.Stop();
  auto* server = state.server.get();
  co_await RunBlocking(state.pool, [server] {
    server->Shutdown(std::chrono::system_clock::now());  // ends idle streams
    return true;
  });
}

}  // namespace samovar
