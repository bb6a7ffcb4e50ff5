#include "main/api_client.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/json/object.hpp>
#include <thread>

#include "base/encoding.h"
#include "net/http_server.h"
#include "wire/sigv4.h"

namespace samovar {
namespace {

using testing::HasSubstr;

// A real HTTP server that proves every signature as the gateway does, then answers by path.
class ApiClientTest : public testing::Test {
 protected:
  void SetUp() override {
    server_ = std::make_unique<HttpServer>(
        loop_.get_executor(), clock_, HttpServerOptions(),
        [this](HttpRequest request) { return Answer(std::move(request)); });
    port_ = server_->Listen("127.0.0.1", 0).value();
    thread_ = std::thread([this] { loop_.run(); });
  }
  void TearDown() override {
    asio::co_spawn(loop_, server_->Stop(Deadline::After(clock_, std::chrono::seconds(5))),
                   asio::detached);
    thread_.join();
  }

  Task<HttpResponse> Answer(HttpRequest request) {
    HttpResponse response;
    const std::string body = (co_await request.body->ReadAll(Bytes::MiB(1))).value_or("");
    const RequestHead head{.method = request.method,
                           .path = request.Path(),
                           .raw_query = request.RawQuery(),
                           .headers = request.headers.All()};
    SigningKeyCache keys;
    const auto secrets = [](std::string_view id) -> std::optional<std::string> {
      if (id == "AKIATEST") return "secret";
      return std::nullopt;
    };
    auto proof = SigV4Verification::Begin(head, secrets, keys, clock_.Wall());
    auto proven =
        proof ? proof->Finish(Sha256Hex(body)) : Result<void>(std::unexpected(proof.error()));
    if (!proven) {
      response.status = 403;
      response.headers.Set("x-amzn-ErrorType", std::string(proven.error().name));
      response.body = R"({"message":"refused"})";
      co_return response;
    }
    if (request.Path().ends_with("/missing")) {
      response.status = 404;
      response.headers.Set("x-amzn-ErrorType", "ResourceNotFoundException:http://x/");
      response.body = R"({"Type":"User","Message":"Function not found: missing"})";
    } else if (request.Path().ends_with("/full")) {
      response.status = 429;
      response.body = R"({"message":"Rate Exceeded.","Reason":"ConcurrentLimit"})";
    } else if (request.Path().ends_with("/list")) {
      const auto marker = request.Query("marker").value_or(request.Query("Marker").value_or(""));
      const std::string next = request.Query("of") == "ours" ? "next_marker" : "NextMarker";
      response.body = marker == "a b" ? R"({"Items":["c"]})"
                                      : R"({"Items":["a","a b"],")" + next + R"(":"a b"})";
    } else if (request.Path().ends_with("/html")) {
      response.body = "<html>";
    } else {
      response.body = R"({"ok":true})";
    }
    co_return response;
  }

  ApiClient Client(std::string secret, std::uint16_t port) {
    return ApiClient({.tls = false, .host = "127.0.0.1", .port = port},
                     {.keys = {"AKIATEST", std::move(secret), ""},
                      .region = "us-east-1",
                      .origin = "the environment"},
                     clock_);
  }

  SystemClock clock_;
  asio::io_context loop_{1};
  std::unique_ptr<HttpServer> server_;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

TEST_F(ApiClientTest, SignsWhatItSendsWhateverTheNameAndQuery) {
  const ApiClient client = Client("secret", port_);
  const std::string targets[] = {FunctionPath("Hello"),
                                 FunctionPath("arn:aws:lambda:us-east-1:0:function:a b"),
                                 FunctionPath("x", "/url?Qualifier=" + PercentEncode("$LATEST")),
                                 "/samovar/v1/logs/x?limit=5&follow=1"};
  for (const std::string& target : targets) {
    const auto got = client.Json("GET", target);
    EXPECT_TRUE(got) << target << ": " << got.error().message;
    const auto posted = client.Json("POST", target, boost::json::object{{"a", 1}});
    EXPECT_TRUE(posted) << target << ": " << posted.error().message;
  }
}

TEST_F(ApiClientTest, TurnsRefusalsIntoErrorsThatSayWhatToDo) {
  const auto refused = Client("wrong", port_).Json("GET", "/x");
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kDenied);
  EXPECT_THAT(refused.error().message, HasSubstr("InvalidSignatureException: refused"));
  EXPECT_THAT(refused.error().message, HasSubstr("samovar keys create"));
  EXPECT_THAT(refused.error().message, testing::Not(HasSubstr("wrong")));
}

TEST_F(ApiClientTest, NamesTheErrorsOfTheApi) {
  const ApiClient client = Client("secret", port_);
  const auto missing = client.Json("GET", FunctionPath("missing"));
  EXPECT_EQ(missing.error().code, Code::kNotFound);
  EXPECT_EQ(missing.error().message, "ResourceNotFoundException: Function not found: missing");
  const auto none = client.JsonIfThere(FunctionPath("missing"));
  ASSERT_TRUE(none);
  EXPECT_FALSE(*none);
  const auto full = client.Json("GET", FunctionPath("full"));
  EXPECT_EQ(full.error().code, Code::kThrottled);
  EXPECT_EQ(full.error().message, "Rate Exceeded. (ConcurrentLimit)");
  EXPECT_THAT(client.Json("GET", "/html").error().message, HasSubstr("is it a samovar server?"));
}

TEST_F(ApiClientTest, FollowsTheMarkersOfAListToItsEnd) {
  const ApiClient client = Client("secret", port_);
  for (const char* target : {"/list", "/list?of=ours"}) {
    const auto all = client.AllPages(target, "Items");
    ASSERT_TRUE(all) << all.error().message;
    EXPECT_EQ(*all, boost::json::array({"a", "a b", "c"})) << target;
  }
}

TEST_F(ApiClientTest, SaysHowToStartAServerWhereThereIsNone) {
  const auto nobody = Client("secret", 1).Json("GET", "/x");
  EXPECT_EQ(nobody.error().code, Code::kUnavailable);
  EXPECT_THAT(nobody.error().message, HasSubstr("http://127.0.0.1:1"));
  EXPECT_THAT(nobody.error().message, HasSubstr("samovar serve"));
}

}  // namespace
}  // namespace samovar
