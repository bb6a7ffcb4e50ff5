#pragma once
// Worker: the conversation with one runtime: is it ready, here is an event, what is the answer.
//
// Why      The pool does not care whether a runtime speaks our channel or the Lambda Runtime API.
// How      One call at a time, unless the runtime says that it takes more (Capacity). A worker
//          knows nothing of time: who owns it kills the process and
//          calls Close(), and whoever waits gets kGone.
// Errors   None: every way to end is an Ending.
// Threads  The event loop only.

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "base/task.h"
#include "instances/invocation.h"
#include "instances/signal.h"

namespace samovar {

enum class Ending : std::uint8_t {
  kAnswered,  // ready (Init), or the handler's answer (Invoke)
  kFailed,    // the runtime reported an error of the function; payload is its JSON
  kTooLarge,  // the answer passes the bound; the runtime goes on
  kNotBegun,  // the runtime was gone before it had the event, which is still whole
  kGone,      // the runtime ended, was closed, or broke the protocol; `detail` says how
};

struct WorkerReply {
  Ending ending = Ending::kGone;
  std::string payload = {};       // empty where it went to the sink
  std::string content_type = {};  // of a streamed answer
  std::string error_type = {};    // with kFailed
  std::string detail = {};        // with kGone: for the log
  bool usable = true;             // whether the runtime can take another event
};

class Worker {
 public:
  virtual ~Worker() = default;

  // Waits until the runtime asks for its first event.
  virtual Task<WorkerReply> Init() = 0;
  // Runs one event. `invocation` lives until this returns; its payload may be moved from. `sink`
  // may be null. `deadline` is when the function's time is up.
  virtual Task<WorkerReply> Invoke(Invocation& invocation, WallTime deadline,
                                   ResponseSink* sink) = 0;
  // How many calls it takes at a time; known once Init() has answered.
  virtual int Capacity() const { return 1; }
  // REQUIRES: a capacity above 1. Runs beside the calls, until the conversation ends. Calls `came`
  // when answers have come, before the calls learn of them.
  virtual Task<void> ReadAnswers(std::function<void()> /*came*/) { co_return; }
  // Asks the runtime to end by itself; false where there is no way to ask.
  virtual Task<bool> AskToEnd(std::string reason) = 0;
  // Ends the conversation; whoever waits gets kGone.
  virtual void Close() = 0;
  // Lets go of what is open; after Close().
  virtual Task<void> Stop() = 0;
};

// Whether a worker was closed, for who waits for something else meanwhile.
struct Closing {
  explicit Closing(const Executor& loop) : signal(loop) {}
  void Close() {
    closed = true;
    signal.Notify();
  }
  bool closed = false;
  Signal signal;
};

// Sends a streamed answer's pieces on to the sink, or collects them where there is none.
class AnswerStream {
 public:
  // A client that takes nothing is not waited for once `closing` (may be null) has closed.
  AnswerStream(ResponseSink* sink, Bytes bound, Closing* closing = nullptr)
      : sink_(sink), bound_(bound), closing_(closing) {}

  Task<void> Begin(std::string content_type);
  Task<void> Chunk(std::string piece);
  bool Began() const { return began_; }
  // The answer so far; kTooLarge where what was collected passed the bound.
  WorkerReply End();
  WorkerReply Fail(std::string error_type, std::string error_json);

 private:
  Task<bool> Pass(Task<bool> piece);

  ResponseSink* sink_;
  Bytes bound_;
  Closing* closing_;
  bool began_ = false;
  bool listening_ = true;  // the caller still takes pieces
  bool too_large_ = false;
  std::string content_type_;
  std::string collected_;
};

// {"errorType": ..., "errorMessage": ...} as Lambda words its own errors.
std::string PlatformErrorJson(std::string_view type, std::string_view message);
// Function.ResponseSizeTooLarge.
WorkerReply TooLargeReply(Bytes bound);

}  // namespace samovar
