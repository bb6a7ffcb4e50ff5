#include "instances/channel_calls.h"

#include <fmt/format.h>

#include <utility>

#include "wire/channel.h"

namespace samovar {

Task<ChannelCalls::Answer> ChannelCalls::Ask(std::string request_id, ChannelFrame invoke) {
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
  auto written = co_await WriteInTurn(std::move(invoke));
  if (!written) co_return Answer{std::unexpected(std::move(written.error())), false};
  while (!call.answer && !ended_) co_await call.changed.Wait();
  if (!call.answer) co_return Answer{std::unexpected(*ended_)};
  co_return Answer{std::move(*call.answer)};
}

Task<Result<void>> ChannelCalls::WriteInTurn(ChannelFrame frame) {
  // A writer that is ended in mid-frame leaves the channel of no use to the others.
  struct Turn {
    ChannelCalls& calls;
    bool done = false;
    ~Turn() {
      calls.writing_ = false;
      calls.written_.Notify();
      if (!done) calls.channel_.Close();
    }
  };
  while (writing_) co_await written_.Wait();
  if (ended_) co_return std::unexpected(*ended_);
  writing_ = true;
  Turn turn{*this};
  auto written = co_await channel_.Write(std::move(frame));
  turn.done = true;
  co_return written;
}

Task<void> ChannelCalls::Read() {
  while (!ended_) {
    auto frame = co_await channel_.Read();
    if (!frame) {
      End(std::move(frame.error()));
      break;
    }
    const auto type = static_cast<FrameType>(frame->type);
    if (type != FrameType::kResponse && type != FrameType::kError) {
      End({Code::kInvalid,
           fmt::format("the runtime sent a frame of type {} out of turn", frame->type)});
      break;
    }
    const auto waiting = calls_.find(std::string(MetaField(frame->meta, 1)));
    if (waiting == calls_.end()) continue;
    waiting->second->answer = std::move(*frame);
    waiting->second->changed.Notify();
  }
}

void ChannelCalls::End(Error why) {
  ended_ = std::move(why);
  for (auto& [id, call] : calls_) call->changed.Notify();
}

}  // namespace samovar
