#include "wire/log_report.h"

#include <gtest/gtest.h>

#include <boost/json/parse.hpp>

#include "wire/utf8.h"

namespace samovar {
namespace {

InvocationReport Report() {
  return {.request_id = "id-1",
          .version = "$LATEST",
          .duration = std::chrono::microseconds(3014),
          .billed = std::chrono::milliseconds(4),
          .memory_size = Bytes::MiB(128),
          .max_memory_used = Bytes::MiB(36),
          .init = std::chrono::microseconds(110'100),
          .restore = {},
          .error_type = {},
          .time = WallTime(std::chrono::milliseconds(1795533676123))};
}

TEST(LogReport, WritesLinesAsAwsDoes) {
  EXPECT_EQ(StartLine("id-1", "$LATEST"), "START RequestId: id-1 Version: $LATEST");
  EXPECT_EQ(EndLine("id-1"), "END RequestId: id-1");
  InvocationReport report = Report();
  EXPECT_EQ(ReportLine(report),
            "REPORT RequestId: id-1\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 "
            "MB\tMax Memory Used: 36 MB\tInit Duration: 110.10 ms\t");
  report.init.reset();
  report.status = "error";
  report.error_type = "ValueError";  // the handler's own
  EXPECT_EQ(ReportLine(report),
            "REPORT RequestId: id-1\tDuration: 3.01 ms\tBilled Duration: 4 ms\tMemory Size: 128 "
            "MB\tMax Memory Used: 36 MB\t");
  report.error_type = "Runtime.ExitError";
  EXPECT_TRUE(ReportLine(report).ends_with("\tStatus: error\tError Type: Runtime.ExitError"));
  report.status = "timeout";
  report.error_type = "Sandbox.Timedout";
  EXPECT_TRUE(ReportLine(report).ends_with("36 MB\tStatus: timeout"));
  EXPECT_EQ(TimeoutLine(report.time, "id-1", std::chrono::seconds(3)),
            "2026-11-24T15:21:16.123Z id-1 Task timed out after 3.00 seconds");
}

TEST(LogReport, WritesRecordsOfJson) {
  InvocationReport report = Report();
  report.error_type = "a\"b";
  EXPECT_EQ(boost::json::parse(JsonStartRecord(report)),
            boost::json::parse(R"({"time": "2026-11-24T15:21:16.123Z", "type": "platform.start",
                                   "record": {"requestId": "id-1", "version": "$LATEST"}})"));
  auto record = boost::json::parse(JsonReportRecord(report)).at("record");
  EXPECT_EQ(record.at("metrics").at("durationMs").as_double(), 3.014);
  EXPECT_EQ(record.at("metrics").at("initDurationMs").as_double(), 110.1);
  EXPECT_EQ(record.at("metrics").at("billedDurationMs").as_int64(), 4);
  EXPECT_EQ(record.at("errorType"), "a\"b");
  EXPECT_EQ(boost::json::parse(JsonRuntimeDoneRecord(report)).at("record").at("status"), "success");
}

TEST(LogReport, BillsWholeMilliseconds) {
  EXPECT_EQ(BilledDuration(std::chrono::nanoseconds(1)).count(), 1);
  EXPECT_EQ(BilledDuration(std::chrono::milliseconds(4)).count(), 4);
  EXPECT_EQ(BilledDuration(std::chrono::nanoseconds(0)).count(), 0);
}

TEST(Utf8, KnowsWhatItIs) {
  for (std::string_view good : {"", "abcdefghijk", "\xc2\x80", "\xe0\xa0\x80", "\xed\x9f\xbf",
                                "\xf0\x90\x80\x80", "\xf4\x8f\xbf\xbf", "abcdefg\xc3\xa9"}) {
    EXPECT_TRUE(IsUtf8(good));
  }
  for (std::string_view bad :
       {"\x80", "\xc0\x80", "\xc1\xbf", "\xe0\x9f\xbf", "\xed\xa0\x80", "\xf0\x8f\xbf\xbf",
        "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xc3", "abcdefgh\xff", "\xe2\x82"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
  EXPECT_EQ(Utf8Length("a\xc3\xa9\xe2\x82\xac"), 3u);
}

}  // namespace
}  // namespace samovar
