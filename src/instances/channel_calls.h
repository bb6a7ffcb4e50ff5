#pragma once
// ChannelCalls: the calls under way on one channel whose runtime takes several at a time.
//
// How      Each INVOKE is written in turn; one reader gives every answer to the call whose id it
//          carries. An answer that nobody waits for any more is dropped.
// Errors   Ask: kUnavailable once the channel has ended, also for the calls that wait then.
// Threads  The event loop only.
// Source   docs/formats/channel.md, version 2.

#include <optional>
#include <string>
#include <unordered_map>

#include "base/task.h"
#include "instances/signal.h"
#include "net/frame_channel.h"

namespace samovar {

class ChannelCalls {
 public:
  ChannelCalls(const Executor& loop, FrameChannel& channel)
      : loop_(loop), channel_(channel), written_(loop) {}

  struct Answer {
    Result<ChannelFrame> frame;
    bool sent = true;  // false: the runtime never had the whole event
  };
  // Sends an INVOKE and waits for its RESPONSE or ERROR.
  Task<Answer> Ask(std::string request_id, ChannelFrame invoke);
  // Reads answers until the channel ends, and then ends the calls.
  Task<void> Read();

 private:
  struct Call {
    explicit Call(const Executor& loop) : changed(loop) {}
    std::optional<ChannelFrame> answer;
    Signal changed;
  };

  Task<Result<void>> WriteInTurn(ChannelFrame frame);
  void End(Error why);

  Executor loop_;
  FrameChannel& channel_;
  std::unordered_map<std::string, Call*> calls_;
  bool writing_ = false;
  Signal written_;
  std::optional<Error> ended_;
};

}  // namespace samovar
