#pragma once
// RuntimeApiWorker: any runtime that speaks the Lambda Runtime API, over HTTP on a listener inside
// its sandbox.
//
// How      /next is held until there is an event. A runtime may use several connections; a newer
//          /next takes the place of an older one, whose connection may be dead. A response is
//          buffered, or streamed with an error in its trailers.
// Errors   To the runtime as the Runtime API has them: 400 InvalidRequestID, 403
//          InvalidStateTransition, 413 RequestEntityTooLarge.
// Threads  The event loop only.
// Source   docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html; the Runtime Interface Emulator.

#include <cstdint>
#include <optional>
#include <string>

#include "base/clock.h"
#include "instances/signal.h"
#include "instances/worker.h"
#include "net/http_server.h"
#include "os/fd.h"

namespace samovar {

class RuntimeApiWorker final : public Worker {
 public:
  RuntimeApiWorker(Executor loop, const Clock& clock, Fd listener, Bytes max_response);

  Task<WorkerReply> Init() override;
  Task<WorkerReply> Invoke(Invocation& invocation, WallTime deadline, ResponseSink* sink) override;
  Task<bool> AskToEnd(std::string) override { co_return false; }
  void Close() override;
  Task<void> Stop() override;

  // One exchange; the server calls it.
  Task<HttpResponse> Handle(HttpRequest request);

 private:
  enum class State : std::uint8_t {
    kStarting,   // no /next yet
    kIdle,       // no event under way; a /next may wait
    kOffered,    // an event waits for a /next
    kRunning,    // the runtime has it
    kAnswering,  // its answer is being read
    kClosed,
  };

  Task<HttpResponse> Next();
  Task<HttpResponse> Response(HttpRequest& request, std::string request_id);
  Task<HttpResponse> Buffered(HttpRequest& request, std::string request_id);
  Task<HttpResponse> Streamed(HttpRequest& request, std::string request_id);
  Task<HttpResponse> FunctionError(HttpRequest& request, std::string request_id);
  Task<HttpResponse> InitError(HttpRequest& request);
  std::optional<HttpResponse> Refuse(std::string_view request_id) const;
  bool StillRuns(const std::string& request_id) const;
  void Settle(WorkerReply reply);
  HttpResponse EventResponse();

  const Clock& clock_;
  Bytes max_response_;
  State state_ = State::kStarting;
  bool init_error_comes_ = false;  // its body is being read: one at a time, as they are held whole
  std::uint64_t next_number_ = 0;  // of the newest /next
  Invocation* invocation_ = nullptr;
  WallTime deadline_;
  ResponseSink* sink_ = nullptr;
  std::string request_id_;  // of the event under way
  std::optional<WorkerReply> reply_;
  Signal offered_;  // for /next
  Signal settled_;  // for Init and Invoke
  HttpServer server_;
};

}  // namespace samovar
