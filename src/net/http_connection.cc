#include "net/http_connection.h"

#include <netinet/tcp.h>
#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/buffer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <cerrno>
#include <cstring>

#include "base/log.h"

namespace samovar {
namespace {

namespace http = boost::beast::http;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr std::size_t kBufferSize = 8 << 10;
constexpr std::size_t kPiece = 256 << 10;        // of a streamed request body
constexpr std::uint64_t kDrain = 256 << 10;      // unread body that is worth reading to keep alive
constexpr std::uint64_t kLinger = 256ull << 20;  // unread body read so that the answer arrives
constexpr std::chrono::seconds kLingerTime{10};

std::string PeerName(const HttpConnection::Socket& socket) {
  boost::system::error_code error;
  auto peer = socket.remote_endpoint(error);
  if (error) return "local";
  std::string address = peer.address().to_string();
  if (peer.address().is_v6()) address = "[" + address + "]";
  return address + ":" + std::to_string(peer.port());
}

// Between two processes of one host nothing is lost and nothing wants pacing. Where the kernel's
// default paces what it sends (BBR), each answer would cost a timer.
void ForgoPacing(HttpConnection::Socket& socket) {
  boost::system::error_code error;
  auto peer = socket.remote_endpoint(error);
  if (error || !peer.address().is_loopback()) return;
  constexpr std::string_view kPlain = "reno";  // every kernel has it
  (void)::setsockopt(socket.native_handle(), IPPROTO_TCP, TCP_CONGESTION, kPlain.data(),
                     kPlain.size());
}

}  // namespace

HttpConnection::HttpConnection(HttpService& service, Socket socket)
    : service_(service), socket_(std::move(socket)), peer_(PeerName(socket_)) {
  boost::system::error_code ignored;
  socket_.set_option(asio::ip::tcp::no_delay(true), ignored);
  socket_.native_non_blocking(true, ignored);
  ForgoPacing(socket_);
}

void HttpConnection::Cut() {
  boost::system::error_code ignored;
  socket_.close(ignored);
}

void HttpConnection::WindUp() {
  boost::system::error_code ignored;
  if (idle_) Cut();
  if (endless_) socket_.cancel(ignored);  // wakes PeerGone
}

Task<void> HttpConnection::Serve() {
  for (bool more = true; more && !service_.stopping;) {
    HttpRequest request;
    switch (co_await ReadHead(request)) {
      case Head::kRead:
        more = co_await Answer(std::move(request));
        break;
      case Head::kClosed:
        co_return Cut();
      case Head::kMalformed:
        co_await Refuse(400, "malformed request");
        more = false;
        break;
      case Head::kTooLarge:
        co_await Refuse(431, "request head over 64 KiB");
        more = false;
        break;
    }
  }
  co_await Linger();
  Cut();
}

Task<HttpConnection::Head> HttpConnection::ReadHead(HttpRequest& request) {
  if (begin_ == end_) {
    begin_ = end_ = 0;
    if (buffer_.size() > 4 * kBufferSize) std::vector<char>().swap(buffer_);
  }
  idle_ = true;
  broken_ = chunked_ = continue_owed_ = false;
  body_left_ = 0;
  if (begin_ == end_) {
    Allow(service_.options.idle_timeout);
    if (!co_await Fill()) co_return Head::kClosed;
  }
  idle_ = false;
  Allow(service_.options.head_timeout);
  trailers_ = {};
  parser_.emplace(request, trailers_);
  while (!parser_->is_header_done()) {
    boost::beast::error_code error;
    begin_ += parser_->put(asio::buffer(Buffered()), error);
    if (error == http::error::need_more) {
      if (!co_await Fill()) co_return Head::kClosed;
    } else if (error) {
      co_return error == http::error::header_limit ? Head::kTooLarge : Head::kMalformed;
    }
  }
  parser_->Detach();
  http10_ = parser_->Version() == 10;
  co_return Head::kRead;
}

Task<bool> HttpConnection::Answer(HttpRequest request) {
  cut_at_ = SteadyTime::max();  // from here on the handler's deadline holds
  keep_ = parser_->keep_alive();
  chunked_ = parser_->chunked();
  body_left_ = chunked_ ? 0 : parser_->content_length().value_or(0);
  std::string_view expect = request.headers.Get("Expect");
  continue_owed_ = !BodyRead() && expect.starts_with("100-");
  bool head_only = request.method == "HEAD";
  request.body = this;
  request.peer = peer_;
  request.deadline = Deadline::After(service_.clock, service_.options.exchange_timeout);
  auto response = co_await CallHandler(std::move(request));
  bool keep = MayKeep();
  if (!co_await Respond(std::move(response), head_only, keep) || !keep) co_return false;
  while (!BodyRead()) {
    auto piece = co_await ReadSome();
    if (!piece) co_return false;
  }
  co_return true;
}

Task<HttpResponse> HttpConnection::CallHandler(HttpRequest request) {
  std::string what;
  try {
    co_return co_await service_.handler(std::move(request));
  } catch (const boost::system::system_error& error) {
    if (error.code() == asio::error::operation_aborted && !socket_.is_open()) throw;
    what = error.what();
  } catch (const std::exception& error) {
    what = error.what();
  }
  LogError("a request handler threw: {}", what);
  HttpResponse response;
  response.status = 500;
  response.headers.Add("Content-Type", "application/json");
  response.body = R"({"Message":"internal error"})";
  co_return response;
}

// Whether the connection can serve another request after this answer.
bool HttpConnection::MayKeep() const {
  if (!keep_ || broken_ || service_.stopping) return false;
  return BodyRead() || (!chunked_ && !continue_owed_ && body_left_ <= kDrain);
}

bool HttpConnection::BodyRead() const { return chunked_ ? parser_->is_done() : body_left_ == 0; }

Task<void> HttpConnection::Refuse(unsigned status, std::string message) {
  HttpResponse response;
  response.status = status;
  response.headers.Add("Content-Type", "text/plain");
  response.body = std::move(message) + "\n";
  co_await Respond(std::move(response), false, false);
}

// Closing with unread bytes would reset the connection and could take the answer with it.
Task<void> HttpConnection::Linger() {
  if (!socket_.is_open()) co_return;
  boost::system::error_code ignored;
  socket_.shutdown(socket_.shutdown_send, ignored);
  if (parser_ && parser_->is_header_done() && BodyRead() && !broken_ && begin_ == end_) co_return;
  if (buffer_.size() < kBufferSize) buffer_.resize(kBufferSize);
  auto end = service_.clock.Now() + kLingerTime;
  for (std::uint64_t read = 0; read < kLinger && service_.clock.Now() < end;) {
    cut_at_ = end;
    auto [error, n] = co_await socket_.async_receive(asio::buffer(buffer_), kTuple);
    if (error) break;
    read += n;
  }
}

std::optional<std::uint64_t> HttpConnection::Announced() const {
  if (chunked_) return std::nullopt;
  return parser_->content_length().value_or(0);
}

Task<Result<std::string>> HttpConnection::ReadAll(Bytes limit) {
  if (body_left_ > limit.count) {
    co_return Fail(Code::kTooLarge, "the body is larger than allowed");
  }
  std::string body;
  if (!chunked_ && body_left_ <= end_ - begin_) {  // all here: nothing to wait for
    body.assign(buffer_.data() + begin_, body_left_);
    begin_ += std::exchange(body_left_, 0);
    co_return body;
  }
  while (true) {
    CO_TRY(auto piece, co_await ReadSome());
    if (!piece) co_return body;
    if (body.size() + piece->size() > limit.count) {
      co_return Fail(Code::kTooLarge, "the body is larger than allowed");
    }
    if (body.empty()) {
      body = std::move(*piece);
      // Memory grows with what arrived; a client that only promises gets little.
      body.reserve(body.size() + std::min<std::uint64_t>(body_left_, 8 << 20));
    } else {
      body += *piece;
    }
  }
}

Task<Result<std::optional<std::string>>> HttpConnection::ReadSome() {
  if (broken_) co_return Fail(Code::kUnavailable, "the body was cut off");
  if (BodyRead()) co_return std::optional<std::string>();
  if (chunked_) co_return co_await ReadChunked();
  std::string piece;
  if (begin_ < end_) {
    piece.assign(buffer_.data() + begin_, std::min<std::uint64_t>(body_left_, end_ - begin_));
    begin_ += piece.size();
  } else {
    CO_TRY(co_await BeforeBody());
    // libstdc++ 12 hands the lambda a rounded-up size, so the size is captured.
    std::size_t most = std::min<std::uint64_t>(body_left_, kPiece);
    piece.resize_and_overwrite(most, [most](char*, std::size_t) { return most; });
    CO_TRY(std::size_t n, co_await Receive(piece.data(), piece.size()));
    piece.resize(n);
  }
  body_left_ -= piece.size();
  co_return piece;
}

Task<Result<std::optional<std::string>>> HttpConnection::ReadChunked() {
  parser_->eager(true);
  while (!parser_->is_done()) {
    boost::beast::error_code error;
    begin_ += parser_->put(asio::buffer(Buffered()), error);
    if (error && error != http::error::need_more) {
      broken_ = true;
      co_return Fail(Code::kInvalid, "the chunked body is malformed");
    }
    if (!parser_->Piece().empty()) co_return std::exchange(parser_->Piece(), {});
    if (parser_->is_done()) break;
    CO_TRY(co_await BeforeBody());
    Allow(service_.options.idle_timeout);
    bool filled = co_await Fill();
    cut_at_ = SteadyTime::max();
    if (!filled) {
      broken_ = true;
      co_return Fail(Code::kUnavailable, "the body was cut off");
    }
  }
  co_return std::optional<std::string>();
}

Task<Result<void>> HttpConnection::BeforeBody() {
  if (std::exchange(continue_owed_, false)) {
    std::string line = "HTTP/1.1 100 Continue\r\n\r\n";
    iovec piece{line.data(), line.size()};
    if (!co_await Send({&piece, 1})) co_return Fail(Code::kUnavailable, "the client went away");
  }
  co_return Result<void>();
}

Task<Result<std::size_t>> HttpConnection::Receive(char* to, std::size_t size) {
  Allow(service_.options.idle_timeout);
  auto [error, n] = co_await socket_.async_receive(asio::buffer(to, size), kTuple);
  cut_at_ = SteadyTime::max();
  if (!error) co_return n;
  broken_ = true;
  co_return Fail(Code::kUnavailable, "the body was cut off");
}

// Adds what the socket has to the buffer; false at the end of the stream or a full buffer.
Task<bool> HttpConnection::Fill() {
  if (begin_ > 0 && end_ == buffer_.size()) {
    std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
    end_ -= std::exchange(begin_, 0);
  }
  if (end_ == buffer_.size()) {
    if (buffer_.size() > 2 * HttpHeadParser::kLimit) co_return false;
    buffer_.resize(std::max(kBufferSize, buffer_.size() * 2));
  }
  auto room = asio::buffer(buffer_.data() + end_, buffer_.size() - end_);
  auto [error, n] = co_await socket_.async_receive(room, kTuple);
  end_ += n;
  co_return !error;
}

}  // namespace samovar
