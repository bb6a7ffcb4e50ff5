#include "wire/channel.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

std::string FrameBytes(FrameType type, std::vector<std::string_view> meta,
                       std::string_view payload) {
  std::string out;
  CHECK(EncodeFrameHead(out, type, meta, payload.size()).has_value());
  out += payload;
  return out;
}

TEST(Channel, WritesWhatTheFormatSays) {
  EXPECT_EQ(FrameBytes(FrameType::kResponse, {}, "hi"), std::string("\x06\0\0\0\x12\0\0\0hi", 10));
  EXPECT_EQ(FrameBytes(FrameType::kShutdown, {"a", "", "b"}, ""),
            std::string("\x08\0\0\0\x02\0\x04\0a\0\0b", 12));
}

TEST(Channel, ReadsFramesHoweverTheyAreCut) {
  std::string bytes = FrameBytes(FrameType::kReady, {"python3.11.7"}, "") +
                      FrameBytes(FrameType::kResponse, {""}, std::string(100'000, 'x')) +
                      FrameBytes(FrameType::kStreamEnd, {}, "");
  for (std::size_t cut : {1u, 3u, 7u, 1000u, 70'000u, 1'000'000u}) {
    FrameDecoder decoder;
    std::vector<std::string> seen;
    for (std::size_t i = 0; i < bytes.size(); i += cut) {
      decoder.Feed(std::string_view(bytes).substr(i, cut));
      while (true) {
        auto frame = decoder.Next();
        ASSERT_TRUE(frame);
        if (!*frame) break;
        seen.push_back(std::to_string(static_cast<int>((*frame)->type)) + ":" +
                       std::string((*frame)->meta) + ":" +
                       std::to_string((*frame)->payload.size()));
      }
    }
    EXPECT_EQ(seen, (std::vector<std::string>{"16:python3.11.7:0", "18::100000", "22::0"})) << cut;
    EXPECT_EQ(decoder.Buffered(), 0u);
  }
}

TEST(Channel, CarriesAnInvocation) {
  InvokeMeta meta{.request_id = "id",
                  .deadline_ms = 1'800'000'000'123,
                  .invoked_arn = "arn",
                  .trace_id = "",
                  .client_context = "{}",
                  .cognito_identity = "",
                  .streaming = true,
                  .tenant_id = "t"};
  auto text = EncodeInvokeMeta(meta);
  ASSERT_TRUE(text);
  auto read = DecodeInvokeMeta(*text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->request_id, "id");
  EXPECT_EQ(read->deadline_ms, 1'800'000'000'123);
  EXPECT_EQ(read->invoked_arn, "arn");
  EXPECT_EQ(read->trace_id, "");
  EXPECT_EQ(read->client_context, "{}");
  EXPECT_TRUE(read->streaming);
  EXPECT_EQ(read->tenant_id, "t");
  EXPECT_FALSE(DecodeInvokeMeta("id"));
  std::string head;
  ASSERT_TRUE(EncodeInvokeHead(head, meta, 5));
  EXPECT_EQ(head.substr(8), *text);
}

TEST(Channel, RefusesToWriteWhatCouldNotBeRead) {
  std::string out;
  std::string_view nul("a\0b", 3);
  std::string large(70'000, 'x');
  std::string_view view = large;
  EXPECT_FALSE(EncodeFrameHead(out, FrameType::kReady, {&nul, 1}, 0));
  EXPECT_FALSE(EncodeFrameHead(out, FrameType::kReady, {&view, 1}, 0));
  auto result = EncodeFrameHead(out, FrameType::kResponse, {}, std::size_t{256} << 20);
  ASSERT_FALSE(result);
  EXPECT_EQ(result.error().code, Code::kTooLarge);
  EXPECT_TRUE(out.empty());
}

TEST(Channel, StaysBrokenAfterABadFrame) {
  for (std::string_view bad :
       {std::string_view("\x03\0\0\0", 4), std::string_view("\xff\xff\xff\xff", 4),
        std::string_view("\x06\0\0\0\x12\0\x03\0", 8)}) {
    FrameDecoder decoder;
    decoder.Feed(bad);
    EXPECT_FALSE(decoder.Next());
    decoder.Feed(FrameBytes(FrameType::kReady, {}, ""));
    EXPECT_FALSE(decoder.Next());
  }
}

TEST(Channel, KeepsNoRoomForBytesThatWereOnlyPromised) {
  FrameDecoder decoder;
  decoder.Feed(std::string_view("\xff\xff\xff\x0f\x12\0\0\0", 8));  // 256 MiB
  ASSERT_TRUE(decoder.Next());
  EXPECT_LT(decoder.Space().size(), 1u << 20);
}

}  // namespace
}  // namespace samovar
