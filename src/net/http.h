#pragma once
// HTTP as the rooms above see it: a request whose body may still be on its way, and a response
// whose body may be made while it is sent.
//
// How      The server parses the head, then calls the handler with a body reader: a small body is
//          already there and ReadAll() does not suspend; a 10 GiB package is read piece by piece.
//          A response either carries `body` whole (Content-Length is set) or a `stream` that is
//          pulled until it answers nullopt (sent chunked as it comes).
// Errors   A body reader answers kTooLarge past its bound, kUnavailable when the peer went away.
// Threads  The event loop only.

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"

namespace samovar {

// Header fields in order of arrival; names compare without case.
class Headers {
 public:
  void Set(std::string_view name, std::string_view value);  // replaces all of that name
  void Add(std::string_view name, std::string_view value);
  std::string_view Get(std::string_view name) const;  // first value, or "" where there is none
  bool Has(std::string_view name) const;
  const std::vector<std::pair<std::string, std::string>>& All() const { return fields_; }

 private:
  std::vector<std::pair<std::string, std::string>> fields_;
};

class BodyReader {
 public:
  virtual ~BodyReader() = default;
  // The whole remaining body, or kTooLarge as soon as it is known to pass `limit`.
  virtual Task<Result<std::string>> ReadAll(Bytes limit) = 0;
  // The next piece (never empty), or nullopt at the end.
  virtual Task<Result<std::optional<std::string>>> ReadSome() = 0;
  // Length the client announced; nullopt for a chunked body.
  virtual std::optional<std::uint64_t> Announced() const { return std::nullopt; }
  // Fields sent after a chunked body; whole once its end was read.
  virtual const Headers& Trailers() const {
    static const Headers kNone;
    return kNone;
  }
};

struct HttpRequest {
  std::string method;  // "GET"
  std::string target;  // as sent: path and query, still percent-encoded
  Headers headers;
  BodyReader* body = nullptr;  // never null in a handler; lives until the handler returns
  std::string peer;            // "127.0.0.1:41234"
  Deadline deadline;           // the server's bound for the whole exchange

  std::string_view Path() const;      // target up to '?', still encoded
  std::string_view RawQuery() const;  // after '?', or ""
  // First value of a query parameter, decoded; nullopt where it is absent.
  std::optional<std::string> Query(std::string_view name) const;
};

// One piece of a streamed body; nullopt ends it well, an error breaks the connection off so that
// the client sees a truncated body.
using BodyStream = std::function<Task<Result<std::optional<std::string>>>()>;

struct HttpResponse {
  unsigned status = 200;
  Headers headers;
  std::string body;
  BodyStream stream;     // when set, `body` is ignored
  bool endless = false;  // the stream has no end of its own: HttpServer::Stop() ends it at once
};

using HttpHandler = std::function<Task<HttpResponse>(HttpRequest)>;

}  // namespace samovar
