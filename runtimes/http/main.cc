// samovar-http: stands between the channel and a program that only listens for HTTP.
//
//   samovar-http PORT PROGRAM [ARGUMENT...]
//
// It starts the program, says READY once the port takes connections, and turns each INVOKE into a
// request to it, many at a time (SAMOVAR_HTTP_CONCURRENCY, default 80). It ends with the program.
// Linked statically: an image need not have a C library.
// Source   docs/formats/channel.md, version 2.

#include <fcntl.h>
#include <signal.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <boost/beast/http/write.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/src.hpp>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <utility>

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
      if (!frame || frame->type != static_cast<std::uint8_t>(FrameType::kInvoke)) break;
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
    const auto until =
        std::chrono::system_clock::time_point(std::chrono::milliseconds(meta->deadline_ms)) - kLead;
    Stream stream(Executor(loop_.get_executor()));
    stream.expires_after(until - std::chrono::system_clock::now());
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxAnswer);
    parser.skip(event->request.method() == http::verb::head);
    const auto failed = co_await Exchange(stream, event->request, parser);
    if (failed == beast::error::timeout) {
      AnswerError("Sandbox.Timedout", id, "the program had not answered when the time was up");
    } else if (failed) {
      AnswerError("Http.NoAnswer", id, "the program did not answer: " + failed.message());
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

  Task<beast::error_code> Exchange(Stream& stream, const ToProgram& request,
                                   http::response_parser<http::string_body>& parser) {
    auto [refused] = co_await stream.async_connect(door_, kTuple);
    if (refused) co_return refused;
    // A program may answer before it has read it all, and close: what it said counts.
    auto [unsent, sent] = co_await http::async_write(stream, request, kTuple);
    if (unsent == beast::error::timeout) co_return unsent;
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
  if (argc < 3) {
    std::fputs("usage: samovar-http PORT PROGRAM [ARGUMENT...]\n", stderr);
    return 2;
  }
  return samovar::Run(argv);
}
