#include "functions/function_ref.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

TEST(FunctionRef, ReadsEveryFormThatLambdaTakes) {
  const struct {
    std::string_view text, name, qualifier, region, account;
  } cases[] = {
      {"fn", "fn", "", "", ""},
      {"my_fn-2", "my_fn-2", "", "", ""},
      {"fn:live", "fn", "live", "", ""},
      {"fn:$LATEST", "fn", "$LATEST", "", ""},
      {"function:fn", "fn", "", "", ""},
      {"function", "function", "", "", ""},
      {"function:function", "function", "", "", ""},
      {"123456789012:function:fn", "fn", "", "", "123456789012"},
      {"123456789012:fn:7", "fn", "7", "", "123456789012"},
      {"us-east-1:123456789012:function:fn:7", "fn", "7", "us-east-1", "123456789012"},
      {"arn:aws:lambda:us-gov-west-1:123456789012:function:fn", "fn", "", "us-gov-west-1",
       "123456789012"},
      {"arn:aws-cn:lambda:cn-north-1:123456789012:function:fn:live", "fn", "live", "cn-north-1",
       "123456789012"},
  };
  for (const auto& c : cases) {
    const auto ref = ParseFunctionRef(c.text);
    ASSERT_TRUE(ref) << c.text;
    EXPECT_EQ(ref->name, c.name) << c.text;
    EXPECT_EQ(ref->qualifier, c.qualifier) << c.text;
    EXPECT_EQ(ref->region, c.region) << c.text;
    EXPECT_EQ(ref->account, c.account) << c.text;
  }
}

TEST(FunctionRef, RefusesTheRest) {
  for (const auto* text :
       {"", ":", "fn:", ":fn", "fn!", "*", "a:b:c:d", "fn:live:more", "fn:in valid",
        "invalid-account:function:fn", "arn:aws:ec2:us-east-1:123456789012:instance:i-1",
        "arn:aws:lambda:us-east-1:123456789012:layer:x:1", "arn:aws:lambda:x:1:2:3:4:5:6:7",
        "arn:aws:lambda", "arn:aws:lambda:us-east-1:123456789012:function:", "$LATEST"}) {
    EXPECT_FALSE(ParseFunctionRef(text)) << text;
  }
}

TEST(LayerRef, ReadsLayersWithAndWithoutVersion) {
  const auto version = ParseLayerArn("arn:aws:lambda:us-east-1:123456789012:layer:deps:12");
  ASSERT_TRUE(version);
  EXPECT_EQ(version->name, "deps");
  EXPECT_EQ(version->version, 12u);
  EXPECT_EQ(version->region, "us-east-1");
  EXPECT_EQ(ParseLayerArn("arn:aws:lambda:us-east-1:123456789012:layer:deps")->version,
            std::nullopt);
  for (const auto* text :
       {"", "deps", "arn:aws:lambda:us-east-1:123456789012:layer:deps:x",
        "arn:aws:lambda:us-east-1:123456789012:layer:deps:1:2",
        "arn:aws:lambda:us-east-1:123456789012:layer:deps:99999999999999999999999",
        "arn:aws:lambda:us-east-1:12345:layer:deps:1",
        "arn:aws:lambda:us-east-1:123456789012:function:deps:1"}) {
    EXPECT_FALSE(ParseLayerArn(text)) << text;
  }
}

TEST(Qualifiers, TellNumbersFromNames) {
  for (const auto* number : {"1", "42"}) EXPECT_TRUE(IsVersionNumber(number)) << number;
  for (const auto* other : {"", "0", "007", "1a", "$LATEST", "99999999999999999999"}) {
    EXPECT_FALSE(IsVersionNumber(other)) << other;
  }
  for (const auto* name : {"live", "2024-01-02", "v1"}) EXPECT_TRUE(IsAliasName(name)) << name;
  for (const auto* other : {"", "2024", "$LATEST", "a.b"}) EXPECT_FALSE(IsAliasName(other));
}

}  // namespace
}  // namespace samovar
