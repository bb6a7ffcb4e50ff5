#pragma once
// AsyncEvent: one asynchronous invocation as it lies on disk, and the record its destination gets.
//
// How      Key "async/FUNCTION/SEQUENCE" (20 digits); value: one line of JSON, a newline, the
//          event's bytes as they came. docs/formats/async-queue.md.
// Errors   Decode: kInternal, naming what is wrong; the caller leaves the event where it is.
// Threads  Values.
// Source   Lambda developer guide, "Retaining records of asynchronous invocations"; recorded
//          answers.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/clock.h"
#include "base/error.h"
#include "instances/invocation.h"

namespace samovar {

struct AsyncEvent {
  std::string request_id;
  std::string invoked_arn;  // as the caller named it
  std::string client_context;
  std::string cognito_identity;
  std::string trace_id;
  WallTime enqueued;
  WallTime due;
  int attempts = 0;  // that ran and ended in a function error
  int hops = 0;      // destinations passed on the way here
  std::string payload;
};

std::string AsyncKey(std::string_view function, std::uint64_t sequence);
// The function and the sequence of a key; kInternal for another key.
Result<std::pair<std::string, std::uint64_t>> ParseAsyncKey(std::string_view key);
std::string EncodeAsyncEvent(const AsyncEvent& event);
Result<AsyncEvent> DecodeAsyncEvent(std::string_view value);

// What became of an event for good.
struct AsyncOutcome {
  // "Success", "RetriesExhausted", "EventAgeExceeded" or "ZeroReservedConcurrency".
  std::string_view condition;
  std::string executed_version;            // "" where it never ran
  std::optional<InvocationResult> result;  // of the last attempt
};

// {"version": "1.0", "timestamp": ..., "requestContext": {...}, "requestPayload": ..., ...}
std::string DestinationRecord(const AsyncEvent& event, const AsyncOutcome& outcome,
                              std::string_view function_arn, WallTime now);

// Parts of ARN "arn:aws:lambda:REGION:ACCOUNT:function:NAME[:QUALIFIER]"; empty function for any
// other.
struct FunctionArn {
  std::string function;
  std::string qualifier;
};
FunctionArn ParseFunctionArn(std::string_view arn);

}  // namespace samovar
