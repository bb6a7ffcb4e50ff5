#include "instances/channel_calls.h"

#include <fmt/format.h>

#include <utility>

#include "wire/channel.h"

namespace samovar {
namespace {

// Of a streamed answer, not yet taken: a runtime may send a quarter of it.
constexpr std::size_t kMostHeld = 1 << 20;
constexpr std::size_t kKeptMemory = 1 << 20;  // of a write, for the next

}  // namespace

// A writer that is ended in mid-frame leaves the channel of no use to the others.
struct ChannelCalls::Writing {
  explicit Writing(ChannelCalls& owner) : calls(owner) { calls.writing_ = true; }
  Writing(const Writing&) = delete;
  ~Writing() {
    calls.writing_ = false;
    calls.written_ += done.value_or(calls.in_flight_);
    calls.in_flight_ = 0;
    if (!done) calls.channel_.Close();
    calls.PassOn();
  }

  ChannelCalls& calls;
  std::optional<std::size_t> done = {};
};

Task<ChannelCalls::Answer> ChannelCalls::Ask(std::string request_id, ChannelFrame invoke,
                                             std::string_view payload, Piece piece) {
  struct Entry {
    std::unordered_map<std::string_view, Call*>& calls;
    std::string_view id;
    bool made;
    ~Entry() {
      if (made) calls.erase(id);
    }
  };
  if (ended_ || broken_) co_return Answer{std::unexpected(ended_ ? *ended_ : *broken_), false};
  Call call(loop_);
  Entry entry{calls_, request_id, calls_.emplace(request_id, &call).second};
  if (!entry.made) {
    co_return Answer{Fail(Code::kConflict, "a call of the same id is under way"), false};
  }
  auto appended = Append(call, invoke, payload);
  if (!appended) co_return Answer{std::unexpected(std::move(appended.error())), false};
  const auto event_end = call.end;
  while (true) {
    co_await Wait(call);
    if (!call.parts.empty()) {
      for (auto& part : std::exchange(call.parts, {})) {
        co_await GivePart(request_id, call, std::move(part), piece);
      }
    } else if (call.answer) {
      co_return Answer{std::move(*call.answer)};
    } else {
      co_return Answer{std::unexpected(*ended_), event_end <= written_};
    }
  }
}

Result<void> ChannelCalls::Append(Call& call, const ChannelFrame& frame, std::string_view payload) {
  TRY(channel_.Append(out_, frame, payload));
  call.end = written_ + in_flight_ + out_.size();
  return {};
}

// Passes a part on, and tells the runtime that it was taken, or that no more is wanted.
Task<void> ChannelCalls::GivePart(const std::string& request_id, Call& call, ChannelFrame part,
                                  const Piece& piece) {
  const auto size = part.payload.size();
  call.held -= size;
  if (!call.wanted) co_return;
  if (!co_await piece(std::move(part))) co_return Cancel(request_id, call);
  if (ended_ || !call.wanted || size == 0) co_return;
  (void)Append(call,
               {.type = static_cast<std::uint8_t>(FrameType::kTaken),
                .meta = request_id + '\0' + std::to_string(size),
                .payload = {}},
               "");
}

void ChannelCalls::Cancel(const std::string& request_id, Call& call) {
  if (!std::exchange(call.wanted, false) || ended_) return;
  (void)Append(
      call,
      {.type = static_cast<std::uint8_t>(FrameType::kCancel), .meta = request_id, .payload = {}},
      "");
}

void ChannelCalls::Forgo(const std::string& request_id) {
  const auto at = calls_.find(request_id);
  if (at == calls_.end() || !at->second->begun) return;
  Cancel(request_id, *at->second);
  at->second->changed.Notify();
}

// Until there is something of the answer, or the end. Meanwhile what the call sends is written.
Task<void> ChannelCalls::Wait(Call& call) {
  while (!call.answer && call.parts.empty() && !ended_) {
    if (Waits(call) && !writing_ && !broken_) {
      if (!WriteAtOnce()) co_await Write();
    } else {
      call.idle = true;
      co_await call.changed.Wait();
      call.idle = false;
    }
  }
}

// Whether the socket took all that waits, as it does but for large events and busy runtimes.
bool ChannelCalls::WriteAtOnce() {
  const std::size_t size = channel_.TrySend(out_).size;
  written_ += size;
  if (size < out_.size()) {
    out_.erase(0, size);
    return false;
  }
  out_.clear();
  if (out_.capacity() > kKeptMemory) out_.shrink_to_fit();
  return true;
}

Task<void> ChannelCalls::Write() {
  std::string bytes = std::exchange(out_, std::exchange(spare_, {}));
  in_flight_ = bytes.size();
  Writing writing(*this);
  auto sent = co_await channel_.Send(bytes);
  writing.done = sent.size;
  if (!sent.all) {
    broken_ = std::move(sent.all.error());
  } else if (bytes.capacity() <= kKeptMemory) {
    bytes.clear();
    spare_ = std::move(bytes);
  }
}

// Lets one of the calls whose events wait write them.
void ChannelCalls::PassOn() {
  if (out_.empty() || ended_ || broken_) return;
  for (auto& [id, call] : calls_) {
    if (call->idle && Waits(*call)) return call->changed.Notify();
  }
}

Task<void> ChannelCalls::Read(std::function<void()> came) {
  while (!ended_) {
    auto frame = co_await channel_.Read();
    came();
    while (frame && Give(std::move(*frame))) {
      auto next = channel_.TakeWhole();
      if (!next) break;
      frame = std::move(*next);
    }
    if (!frame) End(std::move(frame.error()));
  }
}

// Whether the channel can go on.
bool ChannelCalls::Give(ChannelFrame frame) {
  const auto type = static_cast<FrameType>(frame.type);
  const bool begins = type == FrameType::kStreamBegin, goes_on = type == FrameType::kStreamChunk;
  const bool ends = type == FrameType::kStreamEnd;
  const bool whole = type == FrameType::kResponse || type == FrameType::kError;
  const auto waiting = calls_.find(MetaField(frame.meta, 1));
  Call* const call = waiting == calls_.end() ? nullptr : waiting->second;
  const bool in_turn =
      whole || (begins && (!call || !call->begun)) || ((goes_on || ends) && (!call || call->begun));
  if (!in_turn || (call && call->answer)) {
    End({Code::kInvalid,
         fmt::format("the runtime sent a frame of type {} out of turn", frame.type)});
    return false;
  }
  if (!call) return true;
  if (whole || ends) {
    call->answer = std::move(frame);
  } else if ((call->held += frame.payload.size()) > kMostHeld) {
    End({Code::kInvalid, "the runtime streamed more than was taken"});
    return false;
  } else if (goes_on && !call->parts.empty() && call->parts.back().type == frame.type) {
    call->parts.back().payload += frame.payload;  // many small ones cost no more than their bytes
  } else {
    call->begun = true;
    call->parts.push_back(std::move(frame));
  }
  call->changed.Notify();
  return true;
}

void ChannelCalls::End(Error why) {
  ended_ = std::move(why);
  for (auto& [id, call] : calls_) call->changed.Notify();
}

}  // namespace samovar
