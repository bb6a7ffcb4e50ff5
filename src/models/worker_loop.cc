#include "models/worker_loop.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "models/json_text.h"
#include "wire/channel.h"

namespace samovar {
namespace {

using std::chrono::microseconds;
using std::chrono::milliseconds;
using std::chrono::steady_clock;
using std::chrono::system_clock;

// An answer that says that the time is up must come before the server ends the worker for it.
constexpr milliseconds kLead{25};

std::string AnswerMeta(std::string_view first, const std::string& request_id) {
  std::string meta(first);
  meta += '\0';
  return meta += request_id;
}

void Send(FrameSocket& socket, FrameType type, std::string_view meta, std::string_view payload) {
  socket.Append(static_cast<std::uint8_t>(type), meta, payload);
}

bool NoRun(PayloadForm form) {
  return form == PayloadForm::kMetadata || form == PayloadForm::kRefusal;
}

Error TimeIsUp() {
  return {Code::kTimeout, "the time of the request was up before the model had answered",
          "Sandbox.Timedout"};
}

}  // namespace

std::string_view ErrorType(const Error& error) {
  return error.name.empty() ? std::string_view("Model.RunFailed") : error.name;
}

std::string ErrorJson(const Error& error) {
  std::string out = "{\"errorType\":";
  AppendJsonString(ErrorType(error), out);
  out += ",\"errorMessage\":";
  AppendJsonString(error.message, out);
  return out += '}';
}

WorkerLoop::WorkerLoop(FrameSocket& socket, ModelPackage& package, std::function<void()> answered)
    : socket_(socket), package_(package), timer_(*package.model), answered_(std::move(answered)) {}

Result<void> WorkerLoop::Run() {
  while (true) {
    TRY(const bool sent, socket_.Flush());
    if (sent && answered_) std::exchange(answered_, {})();
    if (ending_ && pending_.empty()) return {};
    TRY(const bool came, socket_.Receive(Patience()));
    if (came) TRY(TakeFrames());
    const bool growing = came && Patience().value_or(microseconds(1)).count() > 0;
    if (!pending_.empty() && !growing) RunBatch();
  }
}

// How long to wait for more: for ever where there is nothing to do, else for the delay's rest.
std::optional<microseconds> WorkerLoop::Patience() const {
  if (pending_.empty()) return std::nullopt;
  const microseconds delay = package_.settings.max_delay;
  if (delay.count() == 0 || ending_) return microseconds(0);
  std::vector<const ModelCall*> calls;
  for (const Pending& one : pending_) calls.push_back(&one.call);
  if (!package_.batcher->MayGrow(calls)) return microseconds(0);
  const auto waited =
      std::chrono::duration_cast<microseconds>(steady_clock::now() - pending_.front().arrived);
  return std::max(microseconds(0), delay - waited);
}

Result<void> WorkerLoop::TakeFrames() {
  while (true) {
    TRY(const auto frame, socket_.Next());
    if (!frame) return {};
    switch (static_cast<FrameType>(frame->type)) {
      case FrameType::kInvoke:
        Take(*frame);
        break;
      case FrameType::kShutdown:
        ending_ = true;
        break;
      default:
        return Fail(Code::kInvalid, fmt::format("a frame of type {} came", frame->type));
    }
  }
}

void WorkerLoop::Take(const FrameView& invoke) {
  std::string request_id(MetaField(invoke.meta, 0));
  const auto meta = DecodeInvokeMeta(invoke.meta);
  if (!meta) return AnswerError(request_id, meta.error());
  auto call =
      package_.codec->Decode(MetaField(invoke.meta, 8), MetaField(invoke.meta, 9), invoke.payload);
  if (!call) return AnswerError(request_id, call.error());
  if (NoRun(call->answer)) return Answer(request_id, *call, {});
  // From here on by the steady clock: a wall clock that is set ends no run.
  const auto now = steady_clock::now();
  const auto left =
      system_clock::time_point(milliseconds(meta->deadline_ms)) - system_clock::now() - kLead;
  pending_.push_back({std::move(request_id), now + left, now, std::move(*call)});
}

void WorkerLoop::RunBatch() {
  const auto now = steady_clock::now();
  if (pending_.front().deadline <= now) {
    AnswerError(pending_.front().request_id, TimeIsUp());
    pending_.pop_front();
    return;
  }
  std::vector<const ModelCall*> waiting;
  for (const Pending& one : pending_) waiting.push_back(&one.call);
  const std::size_t count = package_.batcher->NextBatch(waiting);
  std::vector<ModelCall*> batch;
  auto deadline = steady_clock::time_point::max();
  for (std::size_t i = 0; i < count; ++i) {
    batch.push_back(&pending_[i].call);
    if (pending_[i].deadline > now) deadline = std::min(deadline, pending_[i].deadline);
  }
  timer_.Begin(deadline);
  auto outcomes = package_.batcher->Run(batch);
  timer_.End();
  // A batch ends at the first deadline in it; the others' time is not up, and they run again.
  std::deque<Pending> again;
  for (std::size_t i = 0; i < count; ++i) {
    Pending& one = pending_[i];
    if (!outcomes[i] && outcomes[i].error().code == Code::kTimeout) {
      if (one.deadline > deadline) {
        again.push_back(std::move(one));
        continue;
      }
      outcomes[i] = std::unexpected(TimeIsUp());
    }
    Answer(one.request_id, one.call, std::move(outcomes[i]));
  }
  pending_.erase(pending_.begin(), pending_.begin() + static_cast<std::ptrdiff_t>(count));
  pending_.insert(pending_.begin(), std::make_move_iterator(again.begin()),
                  std::make_move_iterator(again.end()));
}

void WorkerLoop::Answer(const std::string& request_id, const ModelCall& call,
                        Batcher::Outcome outcome) {
  if (!outcome) return AnswerError(request_id, outcome.error());
  auto answer = package_.codec->Encode(call, *outcome);
  if (!answer) return AnswerError(request_id, answer.error());
  Send(socket_, FrameType::kResponse, AnswerMeta(answer->content_type, request_id),
       answer->payload);
}

void WorkerLoop::AnswerError(const std::string& request_id, const Error& error) {
  Send(socket_, FrameType::kError, AnswerMeta(ErrorType(error), request_id), ErrorJson(error));
}

}  // namespace samovar
