#include "base/encoding.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

TEST(Encoding, Base64RoundTripsEveryLength) {
  std::string bytes;
  for (int i = 0; i < 70; ++i) {
    EXPECT_EQ(Base64Decode(Base64Encode(bytes)), bytes);
    bytes += static_cast<char>(i * 37);
  }
  EXPECT_EQ(Base64Encode("hello"), "aGVsbG8=");
}

TEST(Encoding, Base64RefusesWhatIsMalformed) {
  for (auto text : {"a", "ab", "abc", "a===", "ab=c", "=abc", "ab c", "aGVsbG8=aGVs"}) {
    EXPECT_EQ(Base64Decode(text), std::nullopt) << text;
  }
}

TEST(Encoding, PercentEncodesAsSigV4Wants) {
  EXPECT_EQ(PercentEncode("a b/c~d$"), "a%20b%2Fc~d%24");
  EXPECT_EQ(PercentEncode("a/b", true), "a/b");
  EXPECT_EQ(PercentDecode("a%20b%2Fc+d"), "a b/c+d");
  EXPECT_EQ(PercentDecode("c+d", true), "c d");
  EXPECT_EQ(PercentDecode("%2"), std::nullopt);
  EXPECT_EQ(PercentDecode("%zz"), std::nullopt);
}

TEST(Encoding, WritesTimesAsLambdaDoes) {
  auto time = std::chrono::system_clock::time_point(std::chrono::milliseconds(1'800'000'000'007));
  EXPECT_EQ(LambdaTimestamp(time), "2027-01-15T08:00:00.007+0000");
  EXPECT_EQ(IsoTimestamp(time), "2027-01-15T08:00:00.007Z");
}

TEST(Encoding, HexRoundTrips) {
  EXPECT_EQ(HexEncode(std::string("\x00\xff\x10", 3)), "00ff10");
  EXPECT_EQ(HexDecode("00FF10"), std::string("\x00\xff\x10", 3));
  EXPECT_EQ(HexDecode("0"), std::nullopt);
  EXPECT_EQ(HexDecode("0g"), std::nullopt);
}

}  // namespace
}  // namespace samovar
