#include "instances/channel_calls.h"

#include <fmt/format.h>

#include <utility>

#include "wire/channel.h"

namespace samovar {
namespace {

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
                                             std::string_view payload) {
  struct Entry {
    std::unordered_map<std::string, Call*>& calls;
    const std::string& id;
    bool made;
    ~Entry() {
      if (made) calls.erase(id);
    }
  };
  if (ended_) co_return Answer{std::unexpected(*ended_), false};
  Call call(loop_);
  Entry entry{calls_, request_id, calls_.emplace(request_id, &call).second};
  if (!entry.made) {
    co_return Answer{Fail(Code::kConflict, "a call of the same id is under way"), false};
  }
  auto appended = channel_.Append(out_, invoke, payload);
  if (!appended) co_return Answer{std::unexpected(std::move(appended.error())), false};
  call.end = written_ + in_flight_ + out_.size();
  while (!call.answer && !ended_) {
    if (Waits(call) && !writing_) {
      co_await Write();
    } else {
      co_await call.changed.Wait();
    }
  }
  if (!call.answer) co_return Answer{std::unexpected(*ended_), call.end <= written_};
  co_return Answer{std::move(*call.answer)};
}

Task<void> ChannelCalls::Write() {
  std::string bytes = std::exchange(out_, std::exchange(spare_, {}));
  in_flight_ = bytes.size();
  Writing writing(*this);
  auto sent = co_await channel_.Send(bytes);
  writing.done = sent.size;
  if (!sent.all) {
    End(std::move(sent.all.error()));
  } else if (bytes.capacity() <= kKeptMemory) {
    bytes.clear();
    spare_ = std::move(bytes);
  }
}

// Lets one of the calls whose events wait write them.
void ChannelCalls::PassOn() {
  if (out_.empty() || ended_) return;
  for (auto& [id, call] : calls_) {
    if (Waits(*call)) return call->changed.Notify();
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
  if (type != FrameType::kResponse && type != FrameType::kError) {
    End({Code::kInvalid,
         fmt::format("the runtime sent a frame of type {} out of turn", frame.type)});
    return false;
  }
  const auto waiting = calls_.find(std::string(MetaField(frame.meta, 1)));
  if (waiting == calls_.end()) return true;
  waiting->second->answer = std::move(frame);
  waiting->second->changed.Notify();
  return true;
}

void ChannelCalls::End(Error why) {
  ended_ = std::move(why);
  for (auto& [id, call] : calls_) call->changed.Notify();
}

}  // namespace samovar
