#include "instances/instance.h"

#include <fmt/format.h>

#include <csignal>
#include <utility>

#include "base/log.h"
#include "instances/channel_worker.h"
#include "instances/runtime_api_worker.h"

namespace samovar {
namespace {

constexpr std::chrono::milliseconds kSampleEvery{100};
constexpr std::chrono::milliseconds kExitGrace{500};    // from a closed channel to the exit
constexpr std::chrono::milliseconds kAskedGrace{2000};  // from SHUTDOWN to the exit

}  // namespace

// Keeps the instance from being destroyed under a coroutine.
class Instance::Use {
 public:
  explicit Use(Instance& instance) : instance_(instance) { ++instance_.users_; }
  Use(const Use&) = delete;
  ~Use() {
    if (--instance_.users_ == 0) instance_.changed_.Notify();
  }

 private:
  Instance& instance_;
};

// The time of one call, among those that run beside it.
class Instance::CallDeadline {
 public:
  CallDeadline(Instance& instance, SteadyTime at)
      : instance_(instance), place_(instance.call_deadlines_.insert(at)) {
    Renew();
  }
  CallDeadline(const CallDeadline&) = delete;
  ~CallDeadline() {
    instance_.call_deadlines_.erase(place_);
    Renew();
  }

 private:
  void Renew() {
    const auto& all = instance_.call_deadlines_;
    instance_.deadline_ = all.empty() || instance_.timed_out_ ? SteadyTime::max() : *all.begin();
  }

  Instance& instance_;
  std::multiset<SteadyTime>::iterator place_;
};

Instance::Instance(InstanceContext context, VersionPtr version, std::string id,
                   std::chrono::nanoseconds init_limit)
    : context_(std::move(context)),
      version_(std::move(version)),
      id_(std::move(id)),
      born_(context_.clock.Now()),
      idle_since_(born_),
      deadline_(born_ + init_limit),
      init_limit_(init_limit),
      changed_(context_.loop) {}

// A package that cannot be started is a fault of the function, which its caller gets as an answer;
// anything else is ours, and refuses the call.
Instance::StartFailure Instance::WhyNotMade(Error error) {
  if (!error.name.starts_with("Runtime.")) return {.error = std::move(error)};
  return {.reply = {.ending = Ending::kFailed,
                    .error_type = std::string(error.name),
                    .detail = std::move(error.message),
                    .usable = false}};
}

std::shared_ptr<void> Instance::Keep() { return std::make_shared<Use>(*this); }

Task<Result<std::unique_ptr<Sandbox>>> Instance::Clone(CloneSpec spec) {
  if (!sandbox_ || exit_) co_return Fail(Code::kUnavailable, "the template has ended");
  co_return co_await sandbox_->Clone(std::move(spec));
}

Task<Result<std::unique_ptr<Sandbox>>> Instance::Make(InstanceStart& start) {
  if (!start.spec) co_return std::unexpected(start.spec.error());
  if (start.parent) {
    shared_memory_ = start.parent->memory_;
    auto clone = co_await start.parent->Clone({.id = id_, .env = std::move(start.clone_env)});
    start.parent_lease.reset();
    cloned_ = clone.has_value();
    if (clone) co_return clone;
    clone_error_ = clone.error();
    bool spare = role == Role::kSpare;  // nobody waits for it
    LogWarn("{}: no clone could be made{}: {}", version_->function,
            spare ? "" : ", the instance starts afresh", clone_error_->message);
    if (spare) co_return std::unexpected(*clone_error_);
    shared_memory_ = {};
    deadline_ = context_.clock.Now() + init_limit_;
    if (timed_out_ || state_ == State::kEnding) co_return std::unexpected(*clone_error_);
  }
  auto made = co_await context_.host.Create(*start.spec);
  // Of an image only its start tells whether it has the program and the folder that it names.
  if (!made && version_->image && made.error().code == Code::kInvalid) {
    made.error().name = "Runtime.InvalidEntrypoint";
  }
  co_return made;
}

Task<void> Instance::Live(InstanceStart start, std::function<void()> started) {
  auto made = co_await Make(start);
  if (!made) {
    FailStart(WhyNotMade(std::move(made.error())), started);
    while (users_ > 0 || calls_ > 0 || state_ == State::kBusy) co_await changed_.Wait();
    co_return;
  }
  sandbox_ = std::move(*made);
  log_ = std::make_unique<LogCapture>(context_.loop, context_.clock, sandbox_->TakeLog(),
                                      context_.logs.Open(version_->function, id_, version_->number),
                                      context_.log_allowance);
  log_->BeginCall(true);  // a failed initialisation is explained by what it printed
  MakeWorker(*start.spec);
  context_.tasks.Spawn(ReadLog());
  context_.tasks.Spawn(Initialise(std::move(started)));
  if (timed_out_ || state_ == State::kEnding) sandbox_->Kill();

  exit_ = co_await sandbox_->WaitExit();
  usable_ = false;
  max_memory_ = std::max(max_memory_, exit_->max_memory);
  log_->Drain();
  log_->Close();
  worker_->Close();
  changed_.Notify();
  while (users_ > 0 || calls_ > 0 || state_ == State::kBusy) co_await changed_.Wait();
  co_await worker_->Stop();
}

void Instance::MakeWorker(const SandboxSpec& spec) {
  if (spec.channel) {
    worker_ = std::make_unique<ChannelWorker>(context_.loop, sandbox_->TakeChannel(),
                                              context_.max_response, spec.clonable);
  } else {
    worker_ = std::make_unique<RuntimeApiWorker>(context_.loop, context_.clock,
                                                 sandbox_->TakeRuntimeApi(), context_.max_response);
  }
}

Task<void> Instance::ReadLog() {
  Use use(*this);
  co_await log_->Run();
}

Task<void> Instance::ReadAnswers() {
  Use use(*this);
  // What was printed before an answer was sent is in the pipe when the answer has come.
  co_await worker_->ReadAnswers([this] { log_->Drain(); });
  ended_with_ = calls_;  // they learn of the end after this
}

void Instance::Leave() {
  --calls_;
  changed_.Notify();
}

// Whether a call whose instance is gone had others beside it, any of which may be at fault; when
// its own time was up, it is.
bool Instance::EndedByAnother(SteadyTime deadline) const {
  return ended_with_ > 1 && context_.clock.Now() < deadline;
}

Task<void> Instance::WaitForExit() {
  kill_at_ = std::min(kill_at_, context_.clock.Now() + kExitGrace);
  while (!exit_) co_await changed_.Wait();
}

Task<void> Instance::Initialise(std::function<void()> started) {
  Use use(*this);
  WorkerReply reply = co_await worker_->Init();
  init_ = context_.clock.Now() - born_;
  if (reply.ending == Ending::kAnswered && !timed_out_) {
    deadline_ = SteadyTime::max();
    report_ = std::move(reply.payload);
    // A template forks within its own share: cut to a small function's it would take 100 ms.
    if (role != Role::kTemplate) sandbox_->UseCpuLimit();
    log_->Drain();
    if (cloned_ && version_->snap_start) LogRestored();
    if (worker_->Capacity() > 1) context_.tasks.Spawn(ReadAnswers());
    if (state_ == State::kStarting) MarkIdle();
    started();
    co_return;
  }
  if (timed_out_) reply.ending = Ending::kGone;
  if (reply.ending == Ending::kGone) co_await WaitForExit();
  log_->Drain();
  FailStart({.timed_out = timed_out_, .reply = std::move(reply)}, started);
}

void Instance::FailStart(StartFailure failure, const std::function<void()>& started) {
  failure_ = std::move(failure);
  usable_ = false;
  deadline_ = SteadyTime::max();
  if (log_) LogFailedInit();
  if (sandbox_) kill_at_ = std::min(kill_at_, context_.clock.Now() + kExitGrace);
  started();
}

void Instance::SetFirst(StartKind kind, std::chrono::nanoseconds waited) {
  if (!first_call_) return;
  first_kind_ = kind;
  first_wait_ = waited;
}

void Instance::MarkIdle() {
  state_ = State::kIdle;
  idle_since_ = context_.clock.Now();
}

void Instance::End(bool ask) {
  bool first = std::exchange(state_, State::kEnding) != State::kEnding;
  usable_ = false;
  changed_.Notify();
  if (exit_ || !sandbox_) return;
  if (ask && first && worker_) {
    kill_at_ = std::min(kill_at_, context_.clock.Now() + kAskedGrace);
    context_.tasks.Spawn(Ask());
    return;
  }
  if (!ask) sandbox_->Kill();
}

Task<void> Instance::Ask() {
  Use use(*this);
  bool asked = co_await worker_->AskToEnd("the instance is no longer needed");
  if (!asked && sandbox_) sandbox_->Kill();
}

void Instance::CheckDeadline(SteadyTime now) {
  if (log_) log_->Refill();
  if (now >= kill_at_ && sandbox_ && !exit_) {
    kill_at_ = SteadyTime::max();
    sandbox_->Kill();
  }
  if (now < deadline_) return;
  deadline_ = SteadyTime::max();
  timed_out_ = true;
  usable_ = false;
  if (sandbox_) sandbox_->Kill();
  if (worker_) worker_->Close();
}

Bytes Instance::SampleMemory(Bytes floor) {
  if (sandbox_ && !exit_) {
    sampled_ = context_.clock.Now();
    memory_ = sandbox_->MemoryInUse();
    max_memory_ = std::max(max_memory_, memory_);
  }
  return std::max(memory_, floor);
}

Task<std::optional<InvocationResult>> Instance::Run(Invocation& call, ResponseSink* sink) {
  Use use(*this);
  if (failure_) {
    LogStart(call);
    WorkerReply reply = failure_->reply;
    if (reply.ending == Ending::kFailed && reply.payload.empty()) {
      reply.payload = PlatformErrorJson(
          reply.error_type, fmt::format("RequestId: {} Error: {}", call.request_id, reply.detail));
    }
    auto result = Interpret(call, std::move(reply));
    result.duration = timed_out_ ? version_->timeout : init_;
    LogEnd(call, result);
    co_return result;
  }
  SteadyTime begin = context_.clock.Now();
  SteadyTime until = begin + version_->timeout;
  std::optional<CallDeadline> deadline(std::in_place, *this, until);
  std::optional<LogCapture::Tail> own_tail;
  const bool beside = Capacity() > 1;
  log_->BeginCall(call.want_log_tail && !beside);
  if (call.want_log_tail && beside) own_tail.emplace(*log_);
  LogCapture::Tail* tail = own_tail ? &*own_tail : nullptr;
  LogStart(call, tail);
  auto reply = co_await worker_->Invoke(call, context_.clock.Wall() + version_->timeout, sink);
  SteadyTime end = context_.clock.Now();
  auto duration = end - begin;
  deadline.reset();
  if (!beside || reply.ending == Ending::kGone) log_->Drain();
  usable_ = usable_ && reply.usable;
  if (reply.ending == Ending::kGone && EndedByAnother(until)) {
    call.alone = true;
    reply.ending = Ending::kNotBegun;
  }
  if (reply.ending == Ending::kNotBegun) {
    usable_ = false;
    co_return std::nullopt;
  }
  ++invocations_;
  if (reply.ending == Ending::kGone && !timed_out_) co_await WaitForExit();
  if (end - sampled_ >= kSampleEvery) SampleMemory({});
  bool timed_out = (timed_out_ && reply.ending == Ending::kGone) || WorkerTimedOut(reply);
  auto result = Interpret(call, std::move(reply), tail);
  result.duration = timed_out ? version_->timeout : duration;
  if (std::exchange(first_call_, false)) {
    result.start = first_kind_;
    if (first_kind_ != StartKind::kWarm) result.init = first_wait_.value_or(init_);
  }
  LogEnd(call, result, tail);
  co_return result;
}

}  // namespace samovar
