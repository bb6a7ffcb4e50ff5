#pragma once
// ChannelCalls: the calls under way on one channel whose runtime takes several at a time.
//
// How      An INVOKE is written at once where the channel is free; what comes while it is not is
//          written together next. One reader gives every answer to the call whose id it carries.
//          An answer that nobody waits for any more is dropped. Of a streamed one the runtime
//          sends only so much ahead of what was taken, so a slow caller holds up nobody else, and
//          no memory.
// Why      To hold events back until a turn of the event loop is over makes one write of many, but
//          server and runtime then work in turn, not beside each other (docs/performance.md).
// Errors   Ask: kUnavailable once the channel has ended, also for the calls that wait then.
// Threads  The event loop only.
// Source   docs/formats/channel.md, version 3.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/task.h"
#include "instances/signal.h"
#include "net/frame_channel.h"

namespace samovar {

class ChannelCalls {
 public:
  ChannelCalls(const Executor& loop, FrameChannel& channel) : loop_(loop), channel_(channel) {}

  struct Answer {
    Result<ChannelFrame> frame;
    bool sent = true;  // false: the runtime never had the whole event
  };
  // Is given STREAM_BEGIN and STREAM_CHUNKs; false: the rest is not wanted.
  using Piece = std::function<Task<bool>(ChannelFrame frame)>;
  // Sends an INVOKE and waits for its RESPONSE, ERROR or STREAM_END. `invoke` has no payload of its
  // own.
  Task<Answer> Ask(std::string request_id, ChannelFrame invoke, std::string_view payload,
                   Piece piece);
  // Tells the runtime that nobody waits for the rest of a streamed answer, where one has begun.
  void Forgo(const std::string& request_id);
  // Reads answers until the channel ends, and then ends the calls. `came` is called with each
  // receive, before the calls learn of the answers in it.
  Task<void> Read(std::function<void()> came);

 private:
  struct Call {
    explicit Call(const Executor& loop) : changed(loop) {}
    std::optional<ChannelFrame> answer;
    std::vector<ChannelFrame> parts;  // of a streamed answer
    std::size_t held = 0;             // bytes in them
    bool idle = false;                // it waits, and can write
    bool begun = false;               // STREAM_BEGIN has come
    bool wanted = true;               // what comes of it
    std::uint64_t end = 0;            // of what it sends, in all bytes that go down the channel
    Signal changed;
  };

  struct Writing;

  bool Waits(const Call& call) const { return call.end > written_ + in_flight_; }
  bool WriteAtOnce();
  Task<void> Write();
  void PassOn();
  Result<void> Append(Call& call, const ChannelFrame& frame, std::string_view payload);
  Task<void> Wait(Call& call);
  Task<void> GivePart(const std::string& request_id, Call& call, ChannelFrame part,
                      const Piece& piece);
  void Cancel(const std::string& request_id, Call& call);
  bool Give(ChannelFrame frame);
  void End(Error why);

  Executor loop_;
  FrameChannel& channel_;
  std::unordered_map<std::string_view, Call*> calls_;  // by ids that the calls hold
  std::string out_;                                    // events that wait to be written
  std::string spare_;                                  // the last one's memory
  std::uint64_t written_ = 0;                          // bytes
  std::size_t in_flight_ = 0;                          // what is being written
  bool writing_ = false;
  // Nothing more can be written. What the runtime has sent is still read, and the calls learn of
  // the end from the reader, as those that wait beside them do.
  std::optional<Error> broken_;
  std::optional<Error> ended_;
};

}  // namespace samovar
