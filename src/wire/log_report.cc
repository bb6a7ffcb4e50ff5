#include "wire/log_report.h"

#include <fmt/format.h>

#include <array>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>
#include <charconv>
#include <initializer_list>

#include "base/encoding.h"

namespace samovar {
namespace {

double Millis(std::chrono::nanoseconds duration) {
  return std::chrono::duration<double, std::milli>(duration).count();
}

// A whole number as text.
class Digits {
 public:
  explicit Digits(std::uint64_t number)
      : end_(std::to_chars(text_.begin(), text_.end(), number).ptr) {}
  Digits(const Digits&) = delete;  // it points into itself
  std::string_view Text() const { return {text_.data(), end_}; }
  operator std::string_view() const { return Text(); }

 private:
  std::array<char, 20> text_;
  const char* end_;
};

std::string Joined(std::initializer_list<std::string_view> parts) {
  std::size_t size = 0;
  for (std::string_view part : parts) size += part.size();
  std::string text;
  text.reserve(size);
  for (std::string_view part : parts) text += part;
  return text;
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

// Every call has these three lines: to put them together by hand costs a quarter of what fmt takes.
std::string StartLine(std::string_view request_id, std::string_view version) {
  return Joined({"START RequestId: ", request_id, " Version: ", version});
}

std::string EndLine(std::string_view request_id) { return Joined({"END RequestId: ", request_id}); }

std::string ReportLine(const InvocationReport& report) {
  const std::uint64_t hundredths =
      (static_cast<std::uint64_t>(report.duration.count()) + 5000) / 10000;
  const Digits rest(hundredths % 100 + 100);  // 1xx: a zero in front stays
  std::string line =
      Joined({"REPORT RequestId: ", report.request_id, "\tDuration: ", Digits(hundredths / 100),
              ".", rest.Text().substr(1), " ms\tBilled Duration: ", Digits(report.billed.count()),
              " ms\tMemory Size: ", Digits(report.memory_size.WholeMiB()),
              " MB\tMax Memory Used: ", Digits(report.max_memory_used.WholeMiB()), " MB\t"});
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
