#include "gateway/collections_json.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include "base/encoding.h"

namespace samovar {
namespace {

std::string Repeated(int times, const std::string& change) {
  std::string body = R"({"changes":[)";
  for (int i = 0; i < times; ++i) body += (i == 0 ? "" : ",") + change;
  return body + "]}";
}

// What the loop may do itself, by the figures of which ParsingTime tells.
TEST(CollectionsJson, TellsBeforehandHowLongABatchTakesToRead) {
  const std::string row = fmt::format(R"({{"op":"put","id":"1234","vector":"{}"}})",
                                      Base64Encode(std::string(512, 'x')));
  std::string numbers = R"({"op":"put","id":"1234","vector":[)";
  for (int i = 0; i < 128; ++i) numbers += (i == 0 ? "" : ",") + std::string("0.12345678901234567");
  numbers += "]}";
  const std::string attributes =
      R"({"op":"update","id":"1","attributes":{"a":1,"b":"some text","c":["x","y"],"d":2.5}})";
  const struct {
    std::string body;
    std::chrono::microseconds takes;
  } cases[] = {
      {Repeated(100, row), std::chrono::microseconds(108)},
      {Repeated(50, numbers), std::chrono::microseconds(263)},
      {Repeated(500, attributes), std::chrono::microseconds(730)},
      {"", std::chrono::microseconds(0)},
  };
  for (const auto& [body, takes] : cases) {
    EXPECT_GE(ParsingTime(body), takes * 2 / 3) << body.substr(0, 100);
    EXPECT_LE(ParsingTime(body), takes * 3 / 2) << body.substr(0, 100);
  }
}

}  // namespace
}  // namespace samovar
