// How the end of a call reads: the answer's error and the lines in the log, in Lambda's words.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <csignal>

#include "instances/instance.h"
#include "wire/log_report.h"
#include "wire/runtime_api.h"

namespace samovar {
namespace {

constexpr std::string_view kTimedOut = "Sandbox.Timedout";

struct SignalName {
  int number;
  std::string_view name;
};

// As Go, in which Lambda's own supervisor is written, names them.
constexpr SignalName kSignals[] = {
    {SIGHUP, "hangup"},
    {SIGINT, "interrupt"},
    {SIGQUIT, "quit"},
    {SIGILL, "illegal instruction"},
    {SIGTRAP, "trace/breakpoint trap"},
    {SIGABRT, "aborted"},
    {SIGBUS, "bus error"},
    {SIGFPE, "floating point exception"},
    {SIGKILL, "killed"},
    {SIGUSR1, "user defined signal 1"},
    {SIGSEGV, "segmentation fault"},
    {SIGUSR2, "user defined signal 2"},
    {SIGPIPE, "broken pipe"},
    {SIGALRM, "alarm clock"},
    {SIGTERM, "terminated"},
    {SIGXCPU, "CPU time limit exceeded"},
    {SIGXFSZ, "file size limit exceeded"},
    {SIGSYS, "bad system call"},
};

InvocationResult Unhandled(std::string error_type, std::string payload) {
  InvocationResult result;
  result.payload = std::move(payload);
  result.function_error = "Unhandled";
  result.error_type = std::move(error_type);
  return result;
}

}  // namespace

ExitDescription DescribeExit(const SandboxExit& exit) {
  if (exit.out_of_memory && (exit.signal != 0 || exit.code != 0)) {
    return {"Runtime.OutOfMemory", "Runtime exited with error: signal: killed"};
  }
  if (exit.signal != 0) {
    std::string name = std::to_string(exit.signal);
    for (const auto& known : kSignals) {
      if (known.number == exit.signal) name = known.name;
    }
    return {"Runtime.ExitError", "Runtime exited with error: signal: " + name};
  }
  if (exit.code == 0) return {"Runtime.ExitError", "Runtime exited without providing a reason"};
  return {"Runtime.ExitError", fmt::format("Runtime exited with error: exit status {}", exit.code)};
}

InvocationResult Instance::TimedOut(const Invocation& call) {
  auto message = fmt::format("RequestId: {} Error: Task timed out after {}.00 seconds",
                             call.request_id, version_->timeout.count());
  return Unhandled(std::string(kTimedOut), PlatformErrorJson(kTimedOut, message));
}

InvocationResult Instance::Exited(const Invocation& call, const WorkerReply& reply,
                                  LogCapture::Tail* tail) {
  auto [type, text] = DescribeExit(exit_.value_or(SandboxExit{}));
  auto message = fmt::format("RequestId: {} Error: {}", call.request_id, text);
  if (log_) {
    log_->Print(message, tail);
    log_->Print(type, tail);
    bool closed = reply.detail == "the channel is closed";  // the exit says it better
    if (!reply.detail.empty() && !closed) log_->Print("samovar: " + reply.detail, tail);
  }
  return Unhandled(std::string(type), PlatformErrorJson(type, message));
}

bool Instance::WorkerTimedOut(const WorkerReply& reply) const {
  return reply.ending == Ending::kFailed && Capacity() > 1 && reply.error_type == kTimedOut;
}

InvocationResult Instance::Interpret(const Invocation& call, WorkerReply reply,
                                     LogCapture::Tail* tail) {
  if (WorkerTimedOut(reply)) return TimedOut(call);
  switch (reply.ending) {
    case Ending::kAnswered: {
      InvocationResult result;
      result.payload = std::move(reply.payload);
      result.content_type = std::move(reply.content_type);
      return result;
    }
    case Ending::kFailed:
    case Ending::kTooLarge: {
      auto type = reply.error_type.empty() ? FunctionErrorType(reply.payload, "Runtime.Unknown")
                                           : std::move(reply.error_type);
      auto result = Unhandled(std::move(type), std::move(reply.payload));
      result.content_type = std::move(reply.content_type);
      return result;
    }
    case Ending::kNotBegun:
    case Ending::kGone:
      break;
  }
  return timed_out_ ? TimedOut(call) : Exited(call, reply, tail);
}

ExitDescription Instance::WhyItFailed() const {
  const WorkerReply& reply = failure_->reply;
  if (reply.ending != Ending::kFailed) return DescribeExit(exit_.value_or(SandboxExit{}));
  ExitDescription why{reply.error_type, reply.detail};
  boost::system::error_code error;
  auto value = boost::json::parse(reply.payload, error);
  if (error || !value.is_object()) return why;
  const auto* message = value.get_object().if_contains("errorMessage");
  if (message && message->is_string()) why.text = message->get_string();
  return why;
}

void Instance::LogFailedInit() {
  std::string_view status = "error";
  std::string type = failure_->reply.error_type;
  if (failure_->timed_out) {
    status = "timeout";
    type = kTimedOut;
  } else if (type.empty()) {
    type = DescribeExit(exit_.value_or(SandboxExit{})).error_type;
  }
  double ms = std::chrono::duration<double, std::milli>(init_).count();
  if (cloned_) {
    log_->Print(
        fmt::format("RESTORE_REPORT Restore Duration: {:.2f} ms\tStatus: {}\tError Type: {}", ms,
                    status, type));
    return;
  }
  log_->Print(
      fmt::format("INIT_REPORT Init Duration: {:.2f} ms\tPhase: {}\tStatus: {}\tError Type: {}", ms,
                  second_try ? "invoke" : "init", status, type));
}

// What a SnapStart version's restore is here.
void Instance::LogRestored() {
  double ms = std::chrono::duration<double, std::milli>(init_).count();
  log_->Print(fmt::format("RESTORE_REPORT Restore Duration: {:.2f} ms", ms));
}

void Instance::LogStart(const Invocation& call, LogCapture::Tail* tail) {
  if (!log_) return;
  if (version_->log_format != "JSON") {
    log_->Print(StartLine(call.request_id, version_->number), tail);
    return;
  }
  InvocationReport report;
  report.request_id = call.request_id;
  report.version = version_->number;
  report.time = context_.clock.Wall();
  log_->Print(JsonStartRecord(report), tail);
}

// Fills in what was billed, and the tail.
void Instance::LogEnd(const Invocation& call, InvocationResult& result, LogCapture::Tail* tail) {
  using std::chrono::nanoseconds;
  result.billed = BilledDuration(result.duration + result.init.value_or(nanoseconds(0)));
  // A process may pass its bound for a moment before it is ended; Lambda never reports more. What a
  // clone shares with its template is part of what the function needs.
  result.max_memory = std::min(shared_memory_ + max_memory_, version_->memory);
  if (!log_) return;
  InvocationReport report;
  report.request_id = call.request_id;
  report.version = version_->number;
  report.duration = result.duration;
  report.billed = result.billed;
  report.memory_size = version_->memory;
  report.max_memory_used = result.max_memory;
  (cloned_ && version_->snap_start ? report.restore : report.init) = result.init;
  report.time = context_.clock.Wall();
  bool timed_out = result.error_type == kTimedOut && (timed_out_ || Capacity() > 1);
  if (timed_out) {
    report.status = "timeout";
  } else if (result.error_type.starts_with("Runtime.") && !usable_) {
    report.status = "error";
    report.error_type = result.error_type;
  }
  if (version_->log_format == "JSON") {
    if (report.status != "success") log_->Print(JsonRuntimeDoneRecord(report), tail);
    log_->Print(JsonReportRecord(report), tail);
  } else {
    if (timed_out) {
      log_->Print(TimeoutLine(report.time, call.request_id, version_->timeout), tail);
    }
    log_->Print(EndLine(call.request_id) + '\n' + ReportLine(report), tail);
  }
  if (call.want_log_tail) result.log_tail = tail ? tail->Take() : log_->TakeTail();
}

}  // namespace samovar
