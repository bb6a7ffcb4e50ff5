#pragma once
// One invocation and its answer, as gateway and instances pass them.
// Source   Lambda's Invoke; the Runtime API's headers (wire-formats in docs/).

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"
#include "functions/version.h"

namespace samovar {

struct Invocation {
  std::string request_id;  // a UUID, made by the gateway
  VersionPtr version;
  std::string invoked_arn;
  std::optional<int> reserved_concurrency;
  int provisioned_concurrency = 0;   // of the function, all its configurations together
  std::string payload;               // the event
  std::shared_ptr<const void> room;  // taken for the payload, until the runtime has it; or null
  std::string content_type;          // of the payload; "" is application/json
  std::string accept;                // what the caller wants back; "" is the same kind as came
  std::string client_context;        // JSON, decoded from base64
  std::string cognito_identity;
  std::string trace_id;     // X-Amzn-Trace-Id form
  Deadline queue_deadline;  // how long it may wait for an instance
  bool want_log_tail = false;
  bool alone = false;      // its instance ended with other calls in it: now it gets one for itself
  bool streaming = false;  // the caller takes a streamed answer
  bool busy_poll = false;  // its runtime may look for the next event before it sleeps
};

// What a call found: an instance that had served before, or how it was made for this one.
enum class StartKind : std::uint8_t {
  kWarm,   // also an instance of provisioned concurrency
  kFresh,  // initialised from nothing
  kClone,  // of the version's template
  kSpare,  // a clone that was ready
};

// How an invocation ended. An error of the user's function is not an Error of ours.
struct InvocationResult {
  std::string payload;         // the answer, or error JSON
  std::string content_type;    // of the answer; "" is application/json
  std::string function_error;  // "" or "Unhandled" ("Handled" is history)
  std::string error_type;      // e.g. "Runtime.ExitError", "Sandbox.Timedout", "ValueError"
  std::string log_tail;        // last 4 KiB, when asked for
  std::chrono::nanoseconds duration{0};
  std::chrono::milliseconds billed{0};
  std::optional<std::chrono::nanoseconds> init;  // on a cold start: what the caller waited for it
  StartKind start = StartKind::kWarm;
  Bytes max_memory;
};

// Receives a streamed answer piece by piece. Begin once, Chunk any number of times; Invoke()
// returns after the last. A false answer means that the caller went away: the rest is read and
// dropped. A handler that answers buffered under `streaming` yields one Begin and one Chunk.
struct ResponseSink {
  std::function<Task<bool>(std::string content_type)> begin;
  std::function<Task<bool>(std::string chunk)> chunk;
  // Set while someone wants to know at once that the caller has gone, also of an answer that is
  // silent; called once.
  std::function<void()> gone;
};

// Runs invocations; implemented by src/instances, called by src/gateway.
class Invoker {
 public:
  virtual ~Invoker() = default;
  // Errors: kThrottled with Lambda's reason; kOverloaded when the queue is full or its deadline
  // passed; kUnavailable when no sandbox can be made. `sink` may be null (buffered).
  virtual Task<Result<InvocationResult>> Invoke(Invocation invocation, ResponseSink* sink) = 0;
};

}  // namespace samovar
