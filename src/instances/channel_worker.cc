#include "instances/channel_worker.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
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

// What the caller has of it cannot be taken back, so it is not asked for anew.
WorkerReply BrokenOff(AnswerStream& stream) {
  constexpr std::string_view kType = "Runtime.ExitError";
  auto reply = stream.Fail(std::string(kType),
                           PlatformErrorJson(kType, "the runtime ended within its answer"));
  reply.usable = false;
  return reply;
}

WorkerReply StreamEnded(ChannelFrame frame, AnswerStream& stream) {
  std::string error_type = FirstField(frame.meta);
  if (error_type.empty()) return stream.End();
  return stream.Fail(std::move(error_type), std::move(frame.payload));
}

// A field that is a number; 0 where it is none.
int NumberField(const std::string& meta, std::size_t index) {
  const std::string_view text = MetaField(meta, index);
  int value = 0;
  std::from_chars(text.data(), text.data() + text.size(), value);
  return value;
}

// Nobody is told that the caller has gone once its answer has ended.
struct Listening {
  ResponseSink* to;
  ~Listening() {
    if (to) to->gone = nullptr;
  }
};

}  // namespace

ChannelWorker::ChannelWorker(Executor loop, Fd socket, Bytes max_response, bool reporting)
    : loop_(loop),
      channel_(loop, std::move(socket), Bytes{max_response.count * kDiscard + 0x10000}),
      closing_(loop),
      max_response_(max_response),
      reporting_(reporting) {}

Task<WorkerReply> ChannelWorker::Init() {
  auto frame = co_await channel_.Read();
  if (!frame) co_return Gone(frame.error().message);
  if (TypeOf(*frame) == FrameType::kReady) {
    capacity_ = std::clamp(NumberField(frame->meta, 1), 1, kMostAtATime);
    if (capacity_ > 1) calls_ = std::make_unique<ChannelCalls>(loop_, channel_);
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
  if (invocation.busy_poll) frame.flags = kBusyPollFlag;
  if (calls_) co_return co_await InvokeBeside(invocation, std::move(frame), sink);
  bool whole = invocation.payload.size() <= kCopied;
  frame.payload = whole ? invocation.payload : std::move(invocation.payload);
  auto written = co_await channel_.Write(std::move(frame));
  invocation.room = nullptr;
  if (!written) {
    WorkerReply reply = Gone(written.error().message);
    if (whole && written.error().code != Code::kTooLarge) reply.ending = Ending::kNotBegun;
    co_return reply;
  }
  co_return co_await ReadAnswer(sink);
}

Task<void> ChannelWorker::ReadAnswers(std::function<void()> came) {
  co_await calls_->Read(std::move(came));
}

// The event stays with its call, whatever its size: another's fault may make it go elsewhere.
Task<WorkerReply> ChannelWorker::InvokeBeside(Invocation& invocation, ChannelFrame frame,
                                              ResponseSink* sink) {
  const Listening until_the_end{sink};
  bool listening = true;
  ResponseSink watched;  // the caller's, seen to
  if (ResponseSink* const to = sink) {
    watched.begin = [&listening, to](std::string type) -> Task<bool> {
      co_return listening = co_await to->begin(std::move(type));
    };
    watched.chunk = [&listening, to](std::string piece) -> Task<bool> {
      co_return listening = co_await to->chunk(std::move(piece));
    };
    sink = &watched;
    to->gone = [this, id = invocation.request_id] { calls_->Forgo(id); };
  }
  AnswerStream stream(sink, max_response_, &closing_);
  const ChannelCalls::Piece piece = [&](ChannelFrame part) -> Task<bool> {
    if (TypeOf(part) == FrameType::kStreamBegin) {
      co_await stream.Begin(FirstField(part.meta));
    } else {
      co_await stream.Chunk(std::move(part.payload));
    }
    co_return listening;
  };
  auto answer =
      co_await calls_->Ask(invocation.request_id, std::move(frame), invocation.payload, piece);
  if (!answer.frame) {
    if (sink && stream.Began()) co_return BrokenOff(stream);
    WorkerReply reply = Gone(answer.frame.error().message);
    if (!answer.sent && answer.frame.error().code != Code::kTooLarge) {
      reply.ending = Ending::kNotBegun;
    }
    co_return reply;
  }
  if (TypeOf(*answer.frame) == FrameType::kStreamEnd) {
    co_return StreamEnded(std::move(*answer.frame), stream);
  }
  if (stream.Began()) co_return OutOfTurn(*answer.frame);
  co_return co_await Whole(std::move(*answer.frame), stream, sink);
}

// An answer in one frame: RESPONSE or ERROR.
Task<WorkerReply> ChannelWorker::Whole(ChannelFrame frame, AnswerStream& stream,
                                       ResponseSink* sink) {
  std::string field = FirstField(frame.meta);
  if (TypeOf(frame) == FrameType::kError) {
    co_return stream.Fail(std::move(field), std::move(frame.payload));
  }
  if (!sink) {
    if (frame.payload.size() > max_response_.count) co_return TooLargeReply(max_response_);
    co_return WorkerReply{.ending = Ending::kAnswered,
                          .payload = std::move(frame.payload),
                          .content_type = std::move(field)};
  }
  co_await stream.Begin(std::move(field));
  co_await stream.Chunk(std::move(frame.payload));
  co_return stream.End();
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
      case FrameType::kResponse:
      case FrameType::kError:
        co_return co_await Whole(std::move(*frame), stream, sink);
      case FrameType::kStreamEnd:
        co_return StreamEnded(std::move(*frame), stream);
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
