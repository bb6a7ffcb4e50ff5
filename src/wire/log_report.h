#pragma once
// The platform's lines in a function's log: START, END and REPORT as text, or the JSON records of
// LoggingConfig.LogFormat JSON.
// Units    Durations print in milliseconds with two decimals, as AWS prints them; memory in MB.
// Source   Recorded logs; docs "Monitoring function logs", Telemetry API schema 2022-12-13.

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/clock.h"

namespace samovar {

struct InvocationReport {
  std::string_view request_id;
  std::string_view version;  // "$LATEST"
  std::chrono::nanoseconds duration{0};
  std::chrono::milliseconds billed{0};
  Bytes memory_size;
  Bytes max_memory_used;
  std::optional<std::chrono::nanoseconds> init;  // on a cold start
  // On a cold start of a version with SnapStart, in its place. All of it is billed.
  std::optional<std::chrono::nanoseconds> restore;
  std::string_view status = "success";  // "error", "timeout", "failure"
  std::string_view error_type;          // e.g. "Runtime.ExitError", or ""
  WallTime time;                        // when the line is written
};

// Without a final newline.
std::string StartLine(std::string_view request_id, std::string_view version);
std::string EndLine(std::string_view request_id);
std::string ReportLine(const InvocationReport& report);
// "2026-11-24T15:21:16.123Z ID Task timed out after 3.00 seconds"
std::string TimeoutLine(WallTime time, std::string_view request_id, std::chrono::seconds timeout);

std::string JsonStartRecord(const InvocationReport& report);
std::string JsonRuntimeDoneRecord(const InvocationReport& report);
std::string JsonReportRecord(const InvocationReport& report);

// Billed time: whole milliseconds, rounded up.
std::chrono::milliseconds BilledDuration(std::chrono::nanoseconds duration);

}  // namespace samovar
