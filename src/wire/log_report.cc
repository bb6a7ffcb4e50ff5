#include "wire/log_report.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

#include "base/encoding.h"

namespace samovar {
namespace {

double Millis(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

std::string Quoted(std::string_view text) {
  return boost::json::serialize(boost::json::string_view(text));
}

// {"time": ..., "type": ..., "record": {members}}
std::string Record(WallTime time, std::string_view type, std::string_view members) {
  return fmt::format(R"({{"time":"{}","type":"{}","record":{{{}}}}})", IsoTimestamp(time), type,
                     members);
}

std::string ErrorMember(const InvocationReport& report) {
  if (report.error_type.empty()) return {};
  return fmt::format(R"(,"errorType":{})", Quoted(report.error_type));
}

// AWS tells of a status only where the platform, not the handler's own error, ended the call.
bool PlatformEndedIt(const InvocationReport& report) {
  return report.status == "timeout" || report.error_type.starts_with("Runtime.") ||
         report.error_type.starts_with("Sandbox.") || report.error_type.starts_with("Extension.");
}

}  // namespace

std::string StartLine(std::string_view request_id, std::string_view version) {
  return fmt::format("START RequestId: {} Version: {}", request_id, version);
}

std::string EndLine(std::string_view request_id) {
  return fmt::format("END RequestId: {}", request_id);
}

std::string ReportLine(const InvocationReport& report) {
  std::string line = fmt::format(
      "REPORT RequestId: {}\tDuration: {:.2f} ms\tBilled Duration: {} ms\tMemory Size: {} MB\t"
      "Max Memory Used: {} MB\t",
      report.request_id, Millis(report.duration), report.billed.count(),
      report.memory_size.WholeMiB(), report.max_memory_used.WholeMiB());
  if (report.init) line += fmt::format("Init Duration: {:.2f} ms\t", Millis(*report.init));
  if (report.restore) {
    line += fmt::format("Restore Duration: {:.2f} ms\tBilled Restore Duration: {} ms\t",
                        Millis(*report.restore), BilledDuration(*report.restore).count());
  }
  if (PlatformEndedIt(report)) {
    line += fmt::format("Status: {}", report.status);
    if (report.status != "timeout") line += fmt::format("\tError Type: {}", report.error_type);
  }
  return line;
}

std::string TimeoutLine(WallTime time, std::string_view request_id, std::chrono::seconds timeout) {
  return fmt::format("{} {} Task timed out after {}.00 seconds", IsoTimestamp(time), request_id,
                     timeout.count());
}

std::string JsonStartRecord(const InvocationReport& report) {
  return Record(report.time, "platform.start",
                fmt::format(R"("requestId":{},"version":{})", Quoted(report.request_id),
                            Quoted(report.version)));
}

std::string JsonRuntimeDoneRecord(const InvocationReport& report) {
  return Record(report.time, "platform.runtimeDone",
                fmt::format(R"("requestId":{},"status":{}{},"metrics":{{"durationMs":{:.3f}}})",
                            Quoted(report.request_id), Quoted(report.status), ErrorMember(report),
                            Millis(report.duration)));
}

std::string JsonReportRecord(const InvocationReport& report) {
  std::string init;
  if (report.init) init = fmt::format(R"(,"initDurationMs":{:.3f})", Millis(*report.init));
  if (report.restore) {
    init += fmt::format(R"(,"restoreDurationMs":{:.3f},"billedRestoreDurationMs":{})",
                        Millis(*report.restore), BilledDuration(*report.restore).count());
  }
  return Record(
      report.time, "platform.report",
      fmt::format(
          R"("requestId":{},"metrics":{{"durationMs":{:.3f},"billedDurationMs":{},"memorySizeMB":{},"maxMemoryUsedMB":{}{}}},"status":{}{})",
          Quoted(report.request_id), Millis(report.duration), report.billed.count(),
          report.memory_size.WholeMiB(), report.max_memory_used.WholeMiB(), init,
          Quoted(report.status), ErrorMember(report)));
}

std::chrono::milliseconds BilledDuration(std::chrono::nanoseconds duration) {
  return std::chrono::ceil<std::chrono::milliseconds>(duration);
}

}  // namespace samovar
