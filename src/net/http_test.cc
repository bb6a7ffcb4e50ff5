#include "net/http.h"

#include <gtest/gtest.h>

#include "net/http_client.h"

namespace samovar {
namespace {

TEST(Headers, CompareNamesWithoutCase) {
  Headers headers;
  headers.Add("X-A", "1");
  headers.Add("x-a", "2");
  headers.Add("Other", "3");
  EXPECT_EQ(headers.Get("X-a"), "1");
  EXPECT_TRUE(headers.Has("OTHER"));
  EXPECT_FALSE(headers.Has("X-"));
  headers.Set("x-A", "4");
  EXPECT_EQ(headers.All().size(), 2u);
  EXPECT_EQ(headers.Get("x-a"), "4");
  headers.Set("new", "5");
  EXPECT_EQ(headers.Get("New"), "5");
}

TEST(HttpRequest, FindsQueryParameters) {
  HttpRequest request;
  request.target = "/a%20b?Qualifier=%24LATEST&empty=&flag&a%2Bb=c+d&bad=%zz";
  EXPECT_EQ(request.Path(), "/a%20b");
  EXPECT_EQ(request.Query("Qualifier"), "$LATEST");
  EXPECT_EQ(request.Query("empty"), "");
  EXPECT_EQ(request.Query("flag"), "");
  EXPECT_EQ(request.Query("a+b"), "c d");
  EXPECT_EQ(request.Query("bad"), std::nullopt);
  EXPECT_EQ(request.Query("absent"), std::nullopt);
}

TEST(HttpEndpoint, ReadsUrls) {
  struct Case {
    const char* url;
    const char* host_field;  // nullptr: refused
    bool tls = false;
  };
  for (auto& c : std::initializer_list<Case>{{"http://127.0.0.1:4566", "127.0.0.1:4566"},
                                             {"http://localhost/", "localhost"},
                                             {"https://a.example", "a.example", true},
                                             {"http://[::1]:80", "[::1]"},
                                             {"http://[::1]:81/", "[::1]:81"},
                                             {"ftp://x", nullptr},
                                             {"http://", nullptr},
                                             {"http://x:0", nullptr},
                                             {"http://x:99999", nullptr},
                                             {"http://x/path", nullptr},
                                             {"http://x:1a", nullptr},
                                             {"http://[::1", nullptr}}) {
    auto endpoint = HttpEndpoint::Parse(c.url);
    ASSERT_EQ(endpoint.has_value(), c.host_field != nullptr) << c.url;
    if (!endpoint) continue;
    EXPECT_EQ(endpoint->HostField(), c.host_field);
    EXPECT_EQ(endpoint->tls, c.tls);
  }
}

TEST(HttpClient, SaysThatNobodyListens) {
  HttpClient client({false, "127.0.0.1", 1});
  auto reply = client.Call({});
  ASSERT_FALSE(reply);
  EXPECT_EQ(reply.error().code, Code::kUnavailable);
}

TEST(LineSplitter, JoinsPiecesToLines) {
  std::vector<std::string> lines;
  LineSplitter split([&](std::string_view line) {
    lines.emplace_back(line);
    return line != "stop";
  });
  EXPECT_TRUE(split("a\nb"));
  EXPECT_TRUE(split("c\r\n\nd"));
  EXPECT_TRUE(split.Finish());
  EXPECT_EQ(lines, (std::vector<std::string>{"a", "bc", "", "d"}));
  EXPECT_FALSE(split("stop\nmore\n"));
}

}  // namespace
}  // namespace samovar
