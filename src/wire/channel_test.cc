#include "wire/channel.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

TEST(Channel, CarriesAnInvocation) {
  std::string text = EncodeInvokeMeta({.request_id = "id",
                                       .deadline_ms = 1'800'000'000'123,
                                       .invoked_arn = "arn",
                                       .client_context = "{}",
                                       .streaming = true,
                                       .tenant_id = "t"});
  EXPECT_EQ(text, std::string_view("id\0"
                                   "1800000000123\0arn\0\0{}\0\0streaming\0t",
                                   37));
  auto read = DecodeInvokeMeta(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->request_id, "id");
  EXPECT_EQ(read->deadline_ms, 1'800'000'000'123);
  EXPECT_EQ(read->invoked_arn, "arn");
  EXPECT_EQ(read->trace_id, "");
  EXPECT_EQ(read->client_context, "{}");
  EXPECT_TRUE(read->streaming);
  EXPECT_EQ(read->tenant_id, "t");
}

TEST(Channel, KeepsOutsideTextWithinItsField) {
  std::string large(70'000, 'x');
  std::string text = EncodeInvokeMeta({.request_id = std::string_view("a\0b", 3),
                                       .invoked_arn = large,
                                       .trace_id = large,
                                       .client_context = large,
                                       .cognito_identity = large,
                                       .tenant_id = large,
                                       .content_type = large,
                                       .accept = large});
  EXPECT_LE(text.size(), 65'535u);
  auto read = DecodeInvokeMeta(text);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->request_id, "a");
  EXPECT_FALSE(read->streaming);
  EXPECT_EQ(read->tenant_id.size(), 6'500u);
  EXPECT_EQ(read->accept.size(), 6'500u);
}

TEST(Channel, SaysWhatKindThePayloadIsOnlyWhereItIsNotJson) {
  EXPECT_EQ(EncodeInvokeMeta({.request_id = "id"}), std::string_view("id\0"
                                                                     "0\0\0\0\0\0buffered\0",
                                                                     18));
  for (auto [type, accept] : {std::pair("text/csv", ""), {"", "text/csv"}, {"a/b", "c/d"}}) {
    std::string text = EncodeInvokeMeta({.content_type = type, .accept = accept});
    auto read = DecodeInvokeMeta(text);
    ASSERT_TRUE(read);
    EXPECT_EQ(read->content_type, type);
    EXPECT_EQ(read->accept, accept);
  }
}

TEST(Channel, RefusesAnInvocationWithoutADeadline) {
  for (std::string_view meta :
       {std::string_view(), std::string_view("id"), std::string_view("id\0x", 4),
        std::string_view("id\0"
                         "1x\0arn",
                         9)}) {
    EXPECT_FALSE(DecodeInvokeMeta(meta));
  }
}

TEST(Channel, ReadsFieldsThatAreNotThereAsNothing) {
  EXPECT_EQ(MetaField("", 0), "");
  EXPECT_EQ(MetaField("a", 1), "");
  EXPECT_EQ(MetaField(std::string_view("a\0\0b", 4), 1), "");
  EXPECT_EQ(MetaField(std::string_view("a\0\0b", 4), 2), "b");
}

}  // namespace
}  // namespace samovar
