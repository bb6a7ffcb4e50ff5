#pragma once
// ChannelWorker: a runtime of ours, over the framed channel (docs/formats/channel.md).
// Errors   A frame that is unknown, malformed or out of turn is kGone: the instance is of no use.
// Threads  The event loop only.

#include <functional>
#include <memory>

#include "instances/channel_calls.h"
#include "instances/worker.h"
#include "net/frame_channel.h"

namespace samovar {

class ChannelWorker final : public Worker {
 public:
  // Answers up to `max_response` are passed on; a frame above kDiscard times that breaks the
  // channel, so that a runtime cannot make the server hold what nobody will get.
  // Where it is `reporting`, READY is followed by what the runtime says of itself as a template:
  // the payload of Init()'s reply.
  ChannelWorker(Executor loop, Fd socket, Bytes max_response, bool reporting = false);

  Task<WorkerReply> Init() override;
  Task<WorkerReply> Invoke(Invocation& invocation, WallTime deadline, ResponseSink* sink) override;
  int Capacity() const override { return capacity_; }
  Task<void> ReadAnswers(std::function<void()> came) override;
  Task<bool> AskToEnd(std::string reason) override;
  void Close() override {
    channel_.Close();
    closing_.Close();
  }
  Task<void> Stop() override { co_return; }

 private:
  static constexpr std::uint64_t kDiscard = 4;

  static constexpr int kMostAtATime = 1024;

  Task<WorkerReply> ReadAnswer(ResponseSink* sink);
  Task<WorkerReply> InvokeBeside(Invocation& invocation, ChannelFrame frame, ResponseSink* sink);
  Task<WorkerReply> Whole(ChannelFrame frame, AnswerStream& stream, ResponseSink* sink);

  Executor loop_;
  FrameChannel channel_;
  int capacity_ = 1;
  std::unique_ptr<ChannelCalls> calls_;  // with a capacity above 1
  Closing closing_;
  Bytes max_response_;
  bool reporting_;
};

}  // namespace samovar
