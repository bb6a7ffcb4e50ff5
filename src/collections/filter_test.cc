#include "collections/filter.h"

#include <gtest/gtest.h>

#include "collections/attributes.h"

namespace samovar {
namespace {

constexpr const char* kFilm =
    R"({"title": "Heat, \"Uncut\"", "year": 1995, "rating": 7.5, "genres": ["Crime", "Drama"],
        "seen": true, "note": null, "cast": {"lead": "x", "year": 1}})";

TEST(Filter, MatchesByValue) {
  const auto film = CanonicalAttributes(kFilm);
  ASSERT_TRUE(film);
  const std::pair<const char*, bool> cases[] = {
      {R"({"eq": {"year": 1995}})", true},
      {R"({"eq": {"year": 1995.0}})", true},
      {R"({"eq": {"year": "1995"}})", false},
      {R"({"eq": {"title": "Heat, \"Uncut\""}})", true},
      {R"({"eq": {"genres": "Drama"}})", true},
      {R"({"eq": {"genres": "Dram"}})", false},
      {R"({"eq": {"seen": true}})", true},
      {R"({"eq": {"note": null}})", true},
      {R"({"eq": {"lead": "x"}})", false},
      {R"({"eq": {"absent": 1}})", false},
      {R"({"range": {"year": {"gte": 1995, "lt": 1996}}})", true},
      {R"({"range": {"year": {"gt": 1995}}})", false},
      {R"({"range": {"year": {"lte": 1995}}})", true},
      {R"({"range": {"rating": {"gt": 7.4, "lt": 7.6}}})", true},
      {R"({"range": {"title": {"gte": "Gea", "lt": "I"}}})", true},
      {R"({"range": {"title": {"gte": 1}}})", false},
      {R"({"range": {"absent": {"gte": 1}}})", false},
      {R"({"in": {"year": [1994, 1995]}})", true},
      {R"({"in": {"genres": ["War", "Crime"]}})", true},
      {R"({"in": {"year": []}})", false},
      {R"({"and": [{"eq": {"year": 1995}}, {"eq": {"seen": true}}]})", true},
      {R"({"and": [{"eq": {"year": 1995}}, {"eq": {"seen": false}}]})", false},
      {R"({"or": [{"eq": {"year": 1}}, {"eq": {"seen": true}}]})", true},
      {R"({"or": []})", false},
      {R"({"and": []})", true},
      {R"({"not": {"eq": {"year": 1995}}})", false},
      {R"({"not": {"eq": {"absent": 1}}})", true},
  };
  for (const auto& [text, wanted] : cases) {
    const auto filter = Filter::Parse(text);
    ASSERT_TRUE(filter) << text << ": " << filter.error().message;
    EXPECT_EQ(filter->Matches(*film), wanted) << text;
  }
}

TEST(Filter, RowsWithoutAttributesMatchOnlyNegations) {
  for (const char* attributes : {"", "{}"}) {
    EXPECT_FALSE(Filter::Parse(R"({"eq": {"a": 1}})")->Matches(attributes));
    EXPECT_TRUE(Filter::Parse(R"({"not": {"eq": {"a": 1}}})")->Matches(attributes));
    EXPECT_TRUE(Filter().Matches(attributes));
  }
}

TEST(Filter, SaysWhatIsWrong) {
  const std::pair<const char*, const char*> cases[] = {
      {R"({"eq": 1})", "filter: eq: expected an object with one member"},
      {R"({"eq": {"a": []}})", "filter: eq: expected a string, number, boolean or null"},
      {R"({"like": {"a": 1}})", "filter: there is no like; it may be eq, range, in, and, or, not"},
      {R"({"range": {"a": {"above": 1}}})",
       "filter: range: there is no above; it may be gte, gt, lte or lt"},
      {R"({"range": {"a": {"gte": 1, "lt": "2"}}})",
       "filter: range: \"a\": one bound is a number and another a string: nothing is both"},
      {R"({"and": {}})", "filter: and: expected an array of filters"},
      {"[]", "filter: expected an object with one of eq, range, in, and, or, not"},
  };
  for (const auto& [text, wanted] : cases) {
    const auto filter = Filter::Parse(text);
    ASSERT_FALSE(filter) << text;
    EXPECT_EQ(filter.error().message, wanted);
    EXPECT_EQ(filter.error().code, Code::kInvalid);
  }
  std::string deep;
  for (int i = 0; i < 20; ++i) deep += R"({"not":)";
  deep += R"({"eq":{"a":1}})" + std::string(20, '}');
  EXPECT_EQ(Filter::Parse(deep).error().message, "filter: it is nested too deeply");
  EXPECT_FALSE(Filter::Parse("{"));
}

TEST(Attributes, AMergeReplacesAddsAndRemoves) {
  EXPECT_EQ(MergeAttributes(R"({"a":1,"b":2})", R"({"b":"x","c":[1]})").value(),
            R"({"a":1,"b":"x","c":[1]})");
  EXPECT_EQ(MergeAttributes(R"({"a":1})", R"({"a":null})").value(), "{}");
  EXPECT_EQ(MergeAttributes("", R"({"a":1})").value(), R"({"a":1})");
  EXPECT_EQ(MergeAttributes(R"({"a":null,"b":[1,{"c":"}"}]})", R"({"d":null,"b":true})").value(),
            R"({"a":null,"b":true})");
}

TEST(Attributes, MustBeAnObjectOfBoundedSize) {
  for (const char* text : {"", "1", "[]", "{", R"("x")"}) {
    EXPECT_EQ(CanonicalAttributes(text).error().code, Code::kInvalid) << text;
  }
  const std::string large = R"({"a":")" + std::string(70'000, 'x') + R"("})";
  EXPECT_EQ(CanonicalAttributes(large).error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace samovar
