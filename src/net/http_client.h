#pragma once
// HttpClient: a blocking HTTP/1.1 client, for the command line and for tests.
//
// How      One connection a call. A body comes from memory or from a file that is read as it is
//          sent; an answer is gathered, or handed on piece by piece as it arrives.
// Errors   kInvalid for a URL that is none; kUnavailable when nobody listens or the connection
//          broke; kTimeout when no byte moved for `idle_timeout`; kNotFound for a body_file that
//          is not there. Any HTTP status is an answer, not an error.
// Threads  Each call blocks its thread; one client may be used by one thread at a time.

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>

#include "net/http.h"

namespace samovar {

struct HttpEndpoint {
  bool tls = false;
  std::string host;  // without brackets
  std::uint16_t port = 80;

  // "http://127.0.0.1:4566" or "https://..."; a path, if any, must be "/".
  static Result<HttpEndpoint> Parse(std::string_view url);
  // What goes into the Host field: "127.0.0.1:4566", without the scheme's own port.
  std::string HostField() const;
};

struct HttpCall {
  std::string method = "GET";
  std::string target = "/";  // path and query, percent-encoded
  Headers headers = {};      // Host, Content-Length and Connection are added
  std::string body = {};
  std::string body_file = {};  // when set, `body` is ignored
  // Called as a body_file goes out.
  std::function<void(std::uint64_t sent, std::uint64_t total)> on_progress = {};
};

struct HttpReply {
  unsigned status = 0;
  Headers headers;
  std::string body;
};

class HttpClient {
 public:
  explicit HttpClient(HttpEndpoint endpoint,
                      std::chrono::milliseconds idle_timeout = std::chrono::minutes(16))
      : endpoint_(std::move(endpoint)), idle_timeout_(idle_timeout) {}

  const HttpEndpoint& Endpoint() const { return endpoint_; }

  // The whole answer.
  Result<HttpReply> Call(HttpCall call) const { return Call(std::move(call), nullptr); }
  // Hands the body of a 2xx answer to `on_piece` as it comes, until it answers false; the body of
  // any other answer is gathered.
  Result<HttpReply> Call(HttpCall call, std::function<bool(std::string_view piece)> on_piece) const;

 private:
  HttpEndpoint endpoint_;
  std::chrono::milliseconds idle_timeout_;
};

// Cuts pieces into lines, for answers of one JSON object a line.
class LineSplitter {
 public:
  explicit LineSplitter(std::function<bool(std::string_view line)> on_line)
      : on_line_(std::move(on_line)) {}
  bool operator()(std::string_view piece);  // false once on_line answered false
  bool Finish();                            // a last line without an end

 private:
  std::function<bool(std::string_view line)> on_line_;
  std::string rest_;
};

}  // namespace samovar
