// samovar-http: stands between the channel and a program that only listens for HTTP.
//
//   samovar-http PORT PROGRAM [ARGUMENT...]
//
//   samovar-http check PROGRAM PATH WORKING_FOLDER
//
// It starts the program, says READY once the port takes connections, and turns each INVOKE into a
// request to it, many at a time (SAMOVAR_HTTP_CONCURRENCY, default 80). It ends with the program.
// Linked statically: an image need not have a C library.
// Where the caller takes a streamed answer, the body goes on as the program sends it.
// Source   docs/formats/channel.md, version 3.

#include <fcntl.h>
#include <signal.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/buffer_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/src.hpp>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <map>
#include <utility>

#include "check_program.h"
#include "http_event.h"
#include "net/frame_channel.h"
#include "program.h"
#include "wire/channel.h"

namespace samovar {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace json = boost::json;

constexpr int kChannel = 3;
constexpr std::uint64_t kMaxAnswer = 64 << 20;
constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
// An answer that says that the time is up must come before the server ends us for it.
constexpr std::chrono::milliseconds kLead{25};
constexpr std::chrono::seconds kPatience{1};  // with a program that may be about to end
// Of a streamed answer: how much is read at once, and how far it may be ahead of what was taken.
constexpr std::size_t kPiece = 32 << 10;
constexpr std::size_t kAhead = 128 << 10;
using Stream = beast::basic_stream<asio::ip::tcp, Executor>;

ChannelFrame ErrorFrame(FrameType type, std::string_view kind, std::string_view request_id,
                        const std::string& message) {
  std::string meta(kind);
  if (!request_id.empty()) (meta += '\0') += request_id;
  return {.type = static_cast<std::uint8_t>(type),
          .meta = std::move(meta),
          .payload = json::serialize(json::object{{"errorType", kind}, {"errorMessage", message}})};
}

class Wrapper {
 public:
  Wrapper(asio::io_context& loop, Program program, std::uint16_t port)
      : loop_(loop),
        channel_(loop.get_executor(), Fd(kChannel)),
        program_(std::move(program)),
        door_(asio::ip::address_v4::loopback(), port) {}

  Task<> Run(std::string several) {
    if (auto listens = co_await program_.WaitUntilItListens(door_); !listens) {
      co_await channel_.Write(
          ErrorFrame(FrameType::kInitError, "Runtime.ExitError", "", listens.error().message));
      End(1);
      co_return;
    }
    std::string meta = "http1";
    if (several != "1") meta += '\0' + several;
    Send({.type = static_cast<std::uint8_t>(FrameType::kReady),
          .meta = std::move(meta),
          .payload = {}});
    named_ = several != "1";
    while (true) {
      auto frame = co_await channel_.Read();
      if (!frame) break;
      const auto type = static_cast<FrameType>(frame->type);
      if (type == FrameType::kTaken || type == FrameType::kCancel) {
        Heed(type, frame->meta);
        continue;
      }
      if (type != FrameType::kInvoke) break;
      asio::co_spawn(Executor(loop_.get_executor()), Call(std::move(*frame)), asio::detached);
    }
    program_.Terminate();  // SHUTDOWN, or the end of the channel
    ending_ = true;
    if (!program_.Ended().empty()) End(0);
  }

  void ProgramMayHaveEnded() {
    const auto how = program_.Ended();
    if (how.empty()) return;
    if (!ending_) std::fprintf(stderr, "samovar-http: the program %s\n", how.c_str());
    if (ready_ || ending_) End(ending_ ? 0 : 1);
  }

 private:
  void AnswerError(std::string_view kind, const std::string& id, const std::string& message) {
    Send(ErrorFrame(FrameType::kError, kind, named_ ? id : "", message));
  }

  Task<> Call(ChannelFrame invoke) {
    const std::string id(MetaField(invoke.meta, 0));
    const auto meta = DecodeInvokeMeta(invoke.meta);
    auto event = ReadEvent(invoke.payload, id);
    if (!meta || !event) {
      AnswerError("Http.BadEvent", id, (meta ? event.error() : meta.error()).message);
      co_return;
    }
    const auto deadline =
        std::chrono::system_clock::time_point(std::chrono::milliseconds(meta->deadline_ms)) - kLead;
    const auto until =
        std::chrono::steady_clock::now() + (deadline - std::chrono::system_clock::now());
    Stream stream(Executor(loop_.get_executor()));
    stream.expires_at(until);
    if (meta->streaming && event->http) {
      co_return co_await StreamAnswer(id, stream, event->request, until);
    }
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswer);
    parser.skip(event->request.method() == http::verb::head);
    const auto failed = co_await Exchange(stream, event->request, parser);
    if (failed) {
      co_await AnswerFailed(id, failed, until);
    } else if (!event->http && parser.get().result_int() >= 400) {
      AnswerError("Http.Status", id,
                  "the program answered with status " + std::to_string(parser.get().result_int()));
    } else {
      std::string head;
      if (named_) (head += '\0') += id;
      Send({.type = static_cast<std::uint8_t>(FrameType::kResponse),
            .meta = std::move(head),
            .payload = AnswerOf(parser.get(), event->http)});
    }
  }

  Task<> AnswerFailed(const std::string& id, beast::error_code failed,
                      std::chrono::steady_clock::time_point until) {
    if (failed == beast::error::timeout) {
      co_return AnswerError("Sandbox.Timedout", id,
                            "the program had not answered when the time was up");
    }
    co_await WaitForItsEnd(until);
    AnswerError("Http.NoAnswer", id, "the program did not answer: " + failed.message());
  }

  // Of a program that ends, the connections close first. An answer in between would tell the
  // server that we live, and it would send the next call here.
  Task<> WaitForItsEnd(std::chrono::steady_clock::time_point until) {
    asio::steady_timer pause(loop_);
    until = std::min(until, std::chrono::steady_clock::now() + kPatience);
    while (std::chrono::steady_clock::now() < until) {
      ProgramMayHaveEnded();
      pause.expires_after(kLead);
      co_await pause.async_wait(kTuple);
    }
  }

  // What the server has said of a streamed answer.
  struct Streaming {
    Streaming(asio::io_context& loop, Stream& from, std::chrono::steady_clock::time_point end)
        : stream(from), until(end), changed(loop) {}
    Stream& stream;
    const std::chrono::steady_clock::time_point until;
    std::size_t ahead = 0;  // bytes sent and not yet taken
    bool cancelled = false;
    asio::steady_timer changed;
  };

  void Heed(FrameType type, const std::string& meta) {
    const auto at = streaming_.find(std::string(MetaField(meta, 0)));
    if (at == streaming_.end()) return;
    Streaming& stream = *at->second;
    if (type == FrameType::kCancel) {
      stream.cancelled = true;
      stream.stream.close();
    } else {
      const auto taken = std::strtoull(std::string(MetaField(meta, 1)).c_str(), nullptr, 10);
      stream.ahead -= std::min<std::size_t>(stream.ahead, taken);
    }
    stream.changed.cancel();
  }

  void SendPart(FrameType type, std::string_view field, const std::string& id,
                std::string payload) {
    std::string meta(field);
    if (named_) (meta += '\0') += id;
    Send({.type = static_cast<std::uint8_t>(type),
          .meta = std::move(meta),
          .payload = std::move(payload)});
  }

  Task<> StreamAnswer(const std::string& id, Stream& stream, const ToProgram& request,
                      std::chrono::steady_clock::time_point until) {
    http::response_parser<http::buffer_body> parser;
    parser.body_limit(boost::none);
    parser.skip(request.method() == http::verb::head);
    beast::flat_buffer buffer;
    auto failed = co_await Ask(stream, request);
    if (!failed) {
      failed = std::get<0>(co_await http::async_read_header(stream, buffer, parser, kTuple));
    }
    if (failed) co_return co_await AnswerFailed(id, failed, until);
    Streaming state(loop_, stream, until);
    streaming_[id] = &state;
    SendPart(FrameType::kStreamBegin, kPreludeType, id, "");
    SendPart(FrameType::kStreamChunk, "", id, PreludeOf(parser.get().base()));
    failed = co_await PassOn(id, state, buffer, parser);
    streaming_.erase(id);
    if (state.cancelled || !failed) co_return SendPart(FrameType::kStreamEnd, "", id, "");
    const bool late = failed == beast::error::timeout;
    if (failed == http::error::partial_message || failed == asio::error::connection_reset) {
      co_await WaitForItsEnd(until);
    }
    const std::string_view kind = late ? "Sandbox.Timedout" : "Http.NoAnswer";
    SendPart(FrameType::kStreamEnd, kind, id,
             ErrorFrame(FrameType::kError, kind, "",
                        late ? "the program had not ended its answer when the time was up"
                             : "the program broke its answer off: " + failed.message())
                 .payload);
  }

  Task<beast::error_code> PassOn(const std::string& id, Streaming& state,
                                 beast::flat_buffer& buffer,
                                 http::response_parser<http::buffer_body>& parser) {
    std::string piece;
    while (!parser.is_done()) {
      while (named_ && state.ahead >= kAhead && !state.cancelled) {
        state.changed.expires_at(state.until);
        const auto [woken] = co_await state.changed.async_wait(kTuple);
        if (!woken) co_return beast::error::timeout;
      }
      if (state.cancelled) break;
      piece.resize(kPiece);
      auto& body = parser.get().body();
      body.data = piece.data();
      body.size = piece.size();
      body.more = true;
      auto [failed, got] = co_await http::async_read_some(state.stream, buffer, parser, kTuple);
      if (failed && failed != http::error::need_buffer) co_return failed;
      piece.resize(kPiece - body.size);
      if (piece.empty()) continue;
      state.ahead += piece.size();
      SendPart(FrameType::kStreamChunk, "", id, std::exchange(piece, {}));
    }
    co_return beast::error_code();
  }

  // A program that takes no more connections is about to end, and we with it, so that the server
  // sends the request to another instance; or it will listen anew.
  Task<beast::error_code> Connect(Stream& stream) {
    asio::steady_timer pause(loop_);
    const auto end = std::chrono::steady_clock::now() + kPatience;
    while (true) {
      auto [failed] = co_await stream.async_connect(door_, kTuple);
      const bool over = std::chrono::steady_clock::now() >= end;
      if (failed != asio::error::connection_refused || over) co_return failed;
      stream.socket().close();
      pause.expires_after(kLead);
      co_await pause.async_wait(kTuple);
    }
  }

  Task<beast::error_code> Ask(Stream& stream, const ToProgram& request) {
    if (auto refused = co_await Connect(stream)) co_return refused;
    // A program may answer before it has read it all, and close: what it said counts.
    auto [unsent, sent] = co_await http::async_write(stream, request, kTuple);
    co_return unsent == beast::error::timeout ? unsent : beast::error_code();
  }

  Task<beast::error_code> Exchange(Stream& stream, const ToProgram& request,
                                   http::response_parser<http::string_body>& parser) {
    if (auto failed = co_await Ask(stream, request)) co_return failed;
    beast::flat_buffer buffer;
    auto [failed, got] = co_await http::async_read(stream, buffer, parser, kTuple);
    co_return failed;
  }

  void Send(ChannelFrame frame) {
    ready_ = true;
    out_.push_back(std::move(frame));
    if (std::exchange(writing_, true)) return;
    asio::co_spawn(Executor(loop_.get_executor()), Flush(), asio::detached);
  }

  Task<> Flush() {
    while (!out_.empty()) {
      auto frame = std::move(out_.front());
      out_.pop_front();
      if (!co_await channel_.Write(std::move(frame))) End(1);
    }
    writing_ = false;
  }

  [[noreturn]] static void End(int status) { ::_exit(status); }

  asio::io_context& loop_;
  FrameChannel channel_;
  Program program_;
  asio::ip::tcp::endpoint door_;
  std::deque<ChannelFrame> out_;
  std::map<std::string, Streaming*> streaming_;  // by request id
  bool writing_ = false, ready_ = false, named_ = false, ending_ = false;
};

// How many calls at a time, as text; what is no such number counts as the default.
std::string Several() {
  const char* wanted = std::getenv("SAMOVAR_HTTP_CONCURRENCY");
  const int count = wanted ? std::atoi(wanted) : 0;
  return std::to_string(count >= 1 && count <= 1024 ? count : 80);
}

Task<> Watch(asio::signal_set& children, Wrapper& wrapper) {
  while (true) {
    const auto [failed, number] = co_await children.async_wait(kTuple);
    if (failed) co_return;
    wrapper.ProgramMayHaveEnded();
  }
}

Task<> Refuse(asio::io_context& loop, std::string why) {
  FrameChannel channel(loop.get_executor(), Fd(kChannel));
  (void)co_await channel.Write(
      ErrorFrame(FrameType::kInitError, "Runtime.InvalidEntrypoint", "", why));
}

int Run(char** argv) {
  ::fcntl(kChannel, F_SETFD, FD_CLOEXEC);
  auto program = Program::Start(argv + 2);
  asio::io_context loop(1);
  if (!program) {
    asio::co_spawn(Executor(loop.get_executor()), Refuse(loop, program.error().message),
                   asio::detached);
    loop.run();
    return 1;
  }
  asio::signal_set children(loop, SIGCHLD);
  Wrapper wrapper(loop, std::move(*program), static_cast<std::uint16_t>(std::atoi(argv[1])));
  asio::co_spawn(Executor(loop.get_executor()), wrapper.Run(Several()), asio::detached);
  asio::co_spawn(Executor(loop.get_executor()), Watch(children, wrapper), asio::detached);
  loop.run();
  return 0;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  if (argc == 5 && std::string_view(argv[1]) == "check") {
    std::puts(samovar::CheckProgram(argv[2], argv[3], argv[4]).c_str());
    return 0;
  }
  if (argc < 3) {
    std::fputs("usage: samovar-http PORT PROGRAM [ARGUMENT...]\n", stderr);
    return 2;
  }
  return samovar::Run(argv);
}
