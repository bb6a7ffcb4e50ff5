#include "wire/zip_field_extractor.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/encoding.h"

namespace samovar {
namespace {

struct Outcome {
  std::string rest, zip, error;
  bool found = false;
};

Outcome Extract(std::string_view path, std::string_view body, std::size_t cut,
                Bytes max_rest = Bytes::KiB(64)) {
  Outcome outcome;
  ZipFieldExtractor extractor(path, max_rest, [&](std::string_view bytes) -> Result<void> {
    EXPECT_FALSE(bytes.empty());
    outcome.zip += bytes;
    return {};
  });
  for (std::size_t i = 0; i < body.size(); i += cut) {
    auto fed = extractor.Feed(body.substr(i, cut));
    if (!fed) {
      outcome.error = fed.error().message;
      EXPECT_FALSE(extractor.Feed("{}"));  // and stays so
      return outcome;
    }
  }
  outcome.found = extractor.FoundZip();
  auto rest = extractor.Finish();
  if (!rest) {
    outcome.error = rest.error().message;
  } else {
    outcome.rest = *rest;
  }
  return outcome;
}

TEST(ZipFieldExtractor, TakesThePackageOutHoweverTheRequestIsCut) {
  std::string zip(10'000, '\0');
  for (std::size_t i = 0; i < zip.size(); ++i) zip[i] = static_cast<char>(i * 7);
  for (std::size_t length : {0u, 1u, 2u, 3u, 10'000u}) {
    std::string part = zip.substr(0, length);
    std::string body = R"( {"FunctionName" : "a\"\u00e9\u0001" ,"Code":{"ZipFile":")" +
                       Base64Encode(part) +
                       R"(","S3Bucket":"b"},"Timeout":1234567,"W":-0.5e3,"Big":18446744073709551615,
                       "L":[1,"ZipFile",{"Code":{"ZipFile":"kept"}},[],{}],"T":true,"N":null} )";
    for (std::size_t cut : {1u, 2u, 3u, 7u, 100u, 1'000'000u}) {
      Outcome outcome = Extract("Code.ZipFile", body, cut);
      EXPECT_EQ(outcome.error, "");
      EXPECT_TRUE(outcome.found);
      EXPECT_EQ(outcome.zip, part) << cut;
      EXPECT_EQ(
          outcome.rest,
          "{\"FunctionName\":\"a\\\"\xc3\xa9\\u0001\",\"Code\":{\"S3Bucket\":\"b\"},"
          "\"Timeout\":1234567,\"W\":-0.5e3,\"Big\":18446744073709551615,"
          "\"L\":[1,\"ZipFile\",{\"Code\":{\"ZipFile\":\"kept\"}},[],{}],\"T\":true,\"N\":null}")
          << cut;
    }
  }
}

TEST(ZipFieldExtractor, FindsTheMemberOnlyWhereItBelongs) {
  EXPECT_EQ(Extract("ZipFile", R"({"ZipFile":"YWJj","Publish":true})", 5).rest,
            R"({"Publish":true})");
  EXPECT_EQ(Extract("ZipFile", R"({"ZipFile":"YWJj"})", 5).zip, "abc");
  for (std::string_view body :
       {R"({"ZipFile":"YWJj"})", R"({"Code":[{"ZipFile":"YWJj"}]})",
        R"({"X":{"Code":{"ZipFile":"YWJj"}}})", R"([{"Code":{"ZipFile":"YWJj"}}])"}) {
    Outcome outcome = Extract("Code.ZipFile", body, 4);
    EXPECT_EQ(outcome.rest, body);
    EXPECT_FALSE(outcome.found);
  }
  // A value that is no text stays, so that it is refused where all members are checked.
  EXPECT_EQ(Extract("Code.ZipFile", R"({"Code":{"ZipFile":7}})", 3).rest,
            R"({"Code":{"ZipFile":7}})");
  EXPECT_EQ(Extract("Code.ZipFile", R"({"Code":{"ZipFile":null}})", 3).rest, R"({"Code":{}})");
  EXPECT_EQ(Extract("Code.ZipFile", R"({"Code":{"ZipFile":"YWJj\u003d"}})", 3).error,
            "Could not parse request body into json: ZipFile is not base64");
  EXPECT_EQ(Extract("Code.ZipFile", R"({"Code":{"ZipFile":"\/\/8="}})", 3).zip, "\xff\xff");
}

TEST(ZipFieldExtractor, RefusesWhatIsNotStrict) {
  for (std::string_view zip :
       {"YWJ", "YW==YWJj", "Y===", "YW=j", "YW J", "YWJj\\n", "YWJj=", "=", "*"}) {
    std::string body = R"({"ZipFile":")" + std::string(zip) + R"("})";
    EXPECT_THAT(Extract("ZipFile", body, 100).error, testing::HasSubstr("not base64")) << zip;
    EXPECT_THAT(Extract("ZipFile", body, 1).error, testing::HasSubstr("not base64")) << zip;
  }
  for (std::string_view body :
       {"{", "{}x", "{\"a\":}", "{\"ZipFile\":\"YWJj\",\"ZipFile\":\"YWJj\"}", "nul", " "}) {
    EXPECT_THAT(Extract("ZipFile", body, 3).error,
                testing::StartsWith("Could not parse request body into json: "))
        << body;
  }
  EXPECT_EQ(Extract("ZipFile", "", 1).error, "");
}

TEST(ZipFieldExtractor, BoundsTheRest) {
  std::string body = R"({"Description":")" + std::string(100'000, 'x') + R"(","ZipFile":"YWJj"})";
  EXPECT_THAT(Extract("ZipFile", body, 1000).error, testing::StartsWith("Request must be smaller"));
}

TEST(ZipFieldExtractor, PutsThePathWhereThePackageWas) {
  for (auto [operation, want] :
       {std::pair{"CreateFunction", R"({"Code":{"StagedPath":"/s"}})"},
        std::pair{"UpdateFunctionCode", R"({"StagedPath":"/s"})"},
        std::pair{"PublishLayerVersion", R"({"Content":{"StagedPath":"/s"}})"}}) {
    boost::json::object input;
    PutStagedPath(operation, "/s", input);
    EXPECT_EQ(boost::json::serialize(input), want);
  }
  EXPECT_EQ(ZipPathOf("GetFunction"), "");
}

}  // namespace
}  // namespace samovar
