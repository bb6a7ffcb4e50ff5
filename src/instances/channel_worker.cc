#include "instances/channel_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "wire/channel.h"

namespace samovar {
namespace {

constexpr std::size_t kCopied = 64 << 10;  // events up to this can be given to another instance

WorkerReply Gone(std::string detail) {
  return {.ending = Ending::kGone, .detail = std::move(detail), .usable = false};
}

WorkerReply OutOfTurn(const ChannelFrame& frame) {
  return Gone(fmt::format("the runtime sent a frame of type {} out of turn", frame.type));
}

FrameType TypeOf(const ChannelFrame& frame) { return static_cast<FrameType>(frame.type); }

std::string FirstField(const std::string& meta) { return std::string(MetaField(meta, 0)); }

std::string InvokeMetaOf(const Invocation& call, WallTime deadline, bool streaming) {
  auto ms = std::chrono::floor<std::chrono::milliseconds>(deadline.time_since_epoch());
  return EncodeInvokeMeta({.request_id = call.request_id,
                           .deadline_ms = ms.count(),
                           .invoked_arn = call.invoked_arn,
                           .trace_id = call.trace_id,
                           .client_context = call.client_context,
                           .cognito_identity = call.cognito_identity,
                           .streaming = streaming,
                           .content_type = call.content_type,
                           .accept = call.accept});
}

}  // namespace

ChannelWorker::ChannelWorker(Executor loop, Fd socket, Bytes max_response, bool reporting)
    : channel_(loop, std::move(socket), Bytes{max_response.count * kDiscard + 0x10000}),
      closing_(loop),
      max_response_(max_response),
      reporting_(reporting) {}

Task<WorkerReply> ChannelWorker::Init() {
  auto frame = co_await channel_.Read();
  if (!frame) co_return Gone(frame.error().message);
  if (TypeOf(*frame) == FrameType::kReady) {
    if (!reporting_) co_return WorkerReply{.ending = Ending::kAnswered};
    auto report = co_await channel_.Read();
    if (!report) co_return Gone(report.error().message);
    if (TypeOf(*report) != FrameType::kTemplate) co_return OutOfTurn(*report);
    co_return WorkerReply{.ending = Ending::kAnswered, .payload = std::move(report->payload)};
  }
  if (TypeOf(*frame) != FrameType::kInitError) co_return OutOfTurn(*frame);
  co_return WorkerReply{.ending = Ending::kFailed,
                        .payload = std::move(frame->payload),
                        .error_type = FirstField(frame->meta),
                        .usable = false};
}

Task<WorkerReply> ChannelWorker::Invoke(Invocation& invocation, WallTime deadline,
                                        ResponseSink* sink) {
  ChannelFrame frame;
  frame.type = static_cast<std::uint8_t>(FrameType::kInvoke);
  frame.meta = InvokeMetaOf(invocation, deadline, sink != nullptr);
  bool whole = invocation.payload.size() <= kCopied;
  frame.payload = whole ? invocation.payload : std::move(invocation.payload);
  auto written = co_await channel_.Write(std::move(frame));
  if (!written) {
    WorkerReply reply = Gone(written.error().message);
    if (whole && written.error().code != Code::kTooLarge) reply.ending = Ending::kNotBegun;
    co_return reply;
  }
  co_return co_await ReadAnswer(sink);
}

Task<WorkerReply> ChannelWorker::ReadAnswer(ResponseSink* sink) {
  AnswerStream stream(sink, max_response_, &closing_);
  while (true) {
    auto frame = co_await channel_.Read();
    if (!frame) {
      if (frame.error().code == Code::kTooLarge) {
        WorkerReply reply = TooLargeReply(max_response_);
        reply.usable = false;
        co_return reply;
      }
      co_return Gone(frame.error().message);
    }
    FrameType type = TypeOf(*frame);
    bool whole = type == FrameType::kResponse || type == FrameType::kError;
    bool begins = whole || type == FrameType::kStreamBegin;
    if (begins == stream.Began()) co_return OutOfTurn(*frame);
    switch (type) {
      case FrameType::kResponse: {
        if (!sink) {
          if (frame->payload.size() > max_response_.count) co_return TooLargeReply(max_response_);
          co_return WorkerReply{.ending = Ending::kAnswered,
                                .payload = std::move(frame->payload),
                                .content_type = FirstField(frame->meta)};
        }
        co_await stream.Begin(FirstField(frame->meta));
        co_await stream.Chunk(std::move(frame->payload));
        co_return stream.End();
      }
      case FrameType::kError:
      case FrameType::kStreamEnd: {
        std::string error_type = FirstField(frame->meta);
        if (type == FrameType::kStreamEnd && error_type.empty()) co_return stream.End();
        co_return stream.Fail(std::move(error_type), std::move(frame->payload));
      }
      case FrameType::kStreamBegin:
        co_await stream.Begin(FirstField(frame->meta));
        break;
      case FrameType::kStreamChunk:
        co_await stream.Chunk(std::move(frame->payload));
        break;
      default:
        co_return OutOfTurn(*frame);
    }
  }
}

Task<bool> ChannelWorker::AskToEnd(std::string reason) {
  ChannelFrame frame;
  frame.type = static_cast<std::uint8_t>(FrameType::kShutdown);
  frame.meta = std::move(reason);
  auto written = co_await channel_.Write(std::move(frame));
  co_return written.has_value();
}

}  // namespace samovar
