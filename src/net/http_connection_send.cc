// The answering half of HttpConnection.

#include <sys/socket.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/status.hpp>
#include <cerrno>
#include <charconv>
#include <ctime>

#include "base/log.h"
#include "net/http_connection.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());

// A field that holds a line break would let a function write the rest of the head.
bool CleanField(const std::pair<std::string, std::string>& field) {
  for (unsigned char c : field.first) {
    if (c <= ' ' || c == ':' || c >= 127) return false;
  }
  for (unsigned char c : field.second) {
    if (c == '\r' || c == '\n' || c == 0) return false;
  }
  return !field.first.empty();
}

bool SameName(std::string_view a, std::string_view lower) {
  if (a.size() != lower.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if ((a[i] | 0x20) != (lower[i] | 0x20)) return false;
  }
  return true;
}

// Fields that the server itself writes.
bool Framing(std::string_view name) {
  return SameName(name, "content-length") || SameName(name, "transfer-encoding") ||
         SameName(name, "connection") || SameName(name, "date");
}

void AppendNumber(std::string& to, std::uint64_t value, int base = 10) {
  std::array<char, 24> text;
  auto end = std::to_chars(text.data(), text.data() + text.size(), value, base).ptr;
  to.append(text.data(), end);
}

void AppendDate(std::string& to, WallTime now) {
  std::time_t seconds = std::chrono::system_clock::to_time_t(now);
  static std::time_t shown = -1;  // the event loop only
  static std::string text;
  if (seconds != shown) {
    std::tm utc{};
    gmtime_r(&seconds, &utc);
    std::array<char, 64> line;
    std::size_t n =
        std::strftime(line.data(), line.size(), "Date: %a, %d %b %Y %H:%M:%S GMT\r\n", &utc);
    text.assign(line.data(), n);
    shown = seconds;
  }
  to += text;
}

bool NoBody(unsigned status) { return status < 200 || status == 204 || status == 304; }

}  // namespace

void HttpConnection::BuildHead(const HttpResponse& response, bool head_only, bool keep,
                               bool chunked) {
  head_.clear();
  head_ += "HTTP/1.1 ";
  AppendNumber(head_, response.status);
  head_ += ' ';
  auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(response.status));
  head_.append(reason.data(), reason.size());
  head_ += "\r\n";
  AppendDate(head_, service_.clock.Wall());
  std::string_view length;
  for (auto& field : response.headers.All()) {
    if (SameName(field.first, "content-length")) length = field.second;
    if (Framing(field.first) || !CleanField(field)) continue;
    head_.append(field.first).append(": ").append(field.second).append("\r\n");
  }
  if (chunked) {
    head_ += "Transfer-Encoding: chunked\r\n";
  } else if (head_only && !length.empty()) {
    head_.append("Content-Length: ").append(length).append("\r\n");
  } else if (!response.stream && !NoBody(response.status)) {
    head_ += "Content-Length: ";
    AppendNumber(head_, response.body.size());
    head_ += "\r\n";
  }
  if (!keep) head_ += "Connection: close\r\n";
  if (keep && http10_) head_ += "Connection: keep-alive\r\n";
  head_ += "\r\n";
}

Task<bool> HttpConnection::Respond(HttpResponse response, bool head_only, bool keep) {
  bool streamed = response.stream && !head_only && !NoBody(response.status);
  bool chunked = streamed && !http10_;
  BuildHead(response, head_only, keep, chunked);
  bool with_body = !streamed && !head_only && !NoBody(response.status);
  std::array<iovec, 2> pieces{iovec{head_.data(), head_.size()},
                              iovec{response.body.data(), with_body ? response.body.size() : 0}};
  if (!co_await Send(pieces)) co_return false;
  if (!streamed) co_return true;
  endless_ = response.endless;
  co_return co_await RespondStreaming(std::move(response.stream), chunked);
}

// The stream and a watch on the client run side by side; the first to end ends the other.
Task<bool> HttpConnection::RespondStreaming(BodyStream stream, bool chunked) {
  using namespace asio::experimental::awaitable_operators;
  auto first = co_await (PumpStream(std::move(stream), chunked) || PeerGone());
  bool whole = first.index() == 0 && std::get<0>(first);
  if (std::exchange(endless_, false) && service_.stopping && !sending_) {
    char last[] = "0\r\n\r\n";
    iovec piece{last, chunked ? 5u : 0u};
    whole = co_await Send({&piece, 1});
  }
  if (!whole) Cut();
  co_return whole;
}

Task<bool> HttpConnection::PumpStream(BodyStream stream, bool chunked) {
  try {
    while (true) {
      auto piece = co_await stream();
      if (!piece) {
        LogDebug("a streamed answer was cut off: {}", piece.error().message);
        co_return false;
      }
      if (!*piece) break;
      if ((*piece)->empty()) continue;
      head_.clear();
      AppendNumber(head_, (*piece)->size(), 16);
      head_ += "\r\n";
      char end[] = "\r\n";
      std::array<iovec, 3> pieces{iovec{head_.data(), chunked ? head_.size() : 0},
                                  iovec{(*piece)->data(), (*piece)->size()},
                                  iovec{end, chunked ? 2u : 0u}};
      if (!co_await Send(pieces)) co_return false;
    }
  } catch (const std::exception& error) {
    LogDebug("a streamed answer was cut off: {}", error.what());
    co_return false;
  }
  if (!chunked) co_return true;
  char last[] = "0\r\n\r\n";
  iovec piece{last, 5};
  co_return co_await Send({&piece, 1});
}

// Returns once the client has closed; never while it only sends more.
Task<bool> HttpConnection::PeerGone() {
  auto [error] = co_await socket_.async_wait(socket_.wait_read, kTuple);
  char byte;
  if (!error && ::recv(socket_.native_handle(), &byte, 1, MSG_PEEK | MSG_DONTWAIT) > 0) {
    // A pipelined request: from here on only a failing write tells.
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>
        never(socket_.get_executor(), SteadyTime::max());
    co_await never.async_wait(kTuple);
  }
  co_return false;
}

// Sends all of it: one call when the socket takes it, else in steps as it drains.
Task<bool> HttpConnection::Send(std::span<iovec> pieces) {
  while (true) {
    msghdr message{};
    message.msg_iov = pieces.data();
    message.msg_iovlen = pieces.size();
    ssize_t sent = ::sendmsg(socket_.native_handle(), &message, MSG_DONTWAIT | MSG_NOSIGNAL);
    if (sent < 0 && errno != EAGAIN && errno != EINTR) co_return false;
    std::size_t done = sent > 0 ? static_cast<std::size_t>(sent) : 0;
    while (!pieces.empty() && done >= pieces.front().iov_len) {
      done -= pieces.front().iov_len;
      pieces = pieces.subspan(1);
    }
    if (pieces.empty()) co_return true;
    pieces.front().iov_base = static_cast<char*>(pieces.front().iov_base) + done;
    pieces.front().iov_len -= done;
    Allow(service_.options.idle_timeout);
    sending_ = true;
    auto [error] = co_await socket_.async_wait(socket_.wait_write, kTuple);
    cut_at_ = SteadyTime::max();
    if (error) co_return false;
    sending_ = false;
  }
}

}  // namespace samovar
