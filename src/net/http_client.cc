#include "net/http_client.h"

#include <fcntl.h>
#include <openssl/ssl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/core/tcp_stream.hpp>
#include <boost/beast/http.hpp>
#include <boost/beast/ssl.hpp>
#include <charconv>
#include <cstring>
#include <vector>

#include "os/fd.h"

namespace samovar {
namespace {

namespace beast = boost::beast;
namespace http = boost::beast::http;
namespace ssl = boost::asio::ssl;
using Tcp = asio::ip::tcp;
using TcpStream = beast::basic_stream<Tcp, Executor>;

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr std::size_t kPiece = 256 << 10;
constexpr std::chrono::seconds kConnectTimeout{10};

std::unexpected<Error> CallFailed(const std::string& what, const beast::error_code& error) {
  if (error == beast::error::timeout) return Fail(Code::kTimeout, what + ": timed out");
  return Fail(Code::kUnavailable, what + ": " + error.message());
}

// A file on its way out.
struct Source {
  Fd fd;
  std::uint64_t size = 0;
};

Result<Source> OpenSource(const std::string& path) {
  Source source{Fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC))};
  struct stat info{};
  if (!source.fd || ::fstat(source.fd.Get(), &info) != 0) {
    return std::unexpected(ErrnoError("open " + path));
  }
  source.size = static_cast<std::uint64_t>(info.st_size);
  return source;
}

template <class Stream>
class Exchange {
 public:
  Exchange(Stream& stream, std::chrono::milliseconds idle, const HttpEndpoint& endpoint)
      : stream_(stream), idle_(idle), endpoint_(endpoint) {}

  Task<Result<HttpReply>> Run(HttpCall& call, std::function<bool(std::string_view)>& on_piece) {
    // A server that refuses a body answers before it read all, and may close: its answer counts.
    auto sent = co_await Send(call);
    if (!sent && sent.error().code == Code::kNotFound) co_return std::unexpected(sent.error());
    auto reply = co_await Receive(call.method == "HEAD", on_piece);
    if (!reply && !sent) co_return std::unexpected(sent.error());
    co_return reply;
  }

 private:
  void Arm() { beast::get_lowest_layer(stream_).expires_after(idle_); }

  Task<Result<void>> Send(HttpCall& call) {
    Source source{Fd(), call.body.size()};
    if (!call.body_file.empty()) {
      CO_TRY(source, OpenSource(call.body_file));
    }
    std::string head = call.method + " " + call.target +
                       " HTTP/1.1\r\nHost: " + endpoint_.HostField() + "\r\nConnection: close\r\n";
    if (source.size > 0 || (call.method != "GET" && call.method != "HEAD")) {
      head += "Content-Length: " + std::to_string(source.size) + "\r\n";
    }
    for (auto& [name, value] : call.headers.All()) head += name + ": " + value + "\r\n";
    head += "\r\n";
    std::array<asio::const_buffer, 2> first{asio::buffer(head), {}};
    if (!source.fd) first[1] = asio::buffer(call.body);
    Arm();
    auto [error, n] = co_await asio::async_write(stream_, first, kTuple);
    if (error) co_return CallFailed("send the request", error);
    if (source.fd) CO_TRY(co_await SendFile(source, call));
    co_return Result<void>();
  }

  Task<Result<void>> SendFile(Source& source, HttpCall& call) {
    std::vector<char> piece(kPiece);
    for (std::uint64_t sent = 0; sent < source.size;) {
      ssize_t n = ::read(source.fd.Get(), piece.data(),
                         std::min<std::uint64_t>(piece.size(), source.size - sent));
      if (n <= 0) co_return Fail(Code::kNotFound, "read " + call.body_file + ": it changed");
      Arm();
      auto bytes = asio::buffer(piece.data(), static_cast<std::size_t>(n));
      auto [error, written] = co_await asio::async_write(stream_, bytes, kTuple);
      if (error) co_return CallFailed("send the request", error);
      sent += written;
      if (call.on_progress) call.on_progress(sent, source.size);
    }
    co_return Result<void>();
  }

  Task<Result<HttpReply>> Receive(bool head_only, std::function<bool(std::string_view)>& on_piece) {
    beast::flat_buffer buffer;
    http::response_parser<http::buffer_body> parser;
    parser.header_limit(256 << 10);
    parser.body_limit(boost::none);
    parser.skip(head_only);
    while (!parser.is_header_done()) {  // an interim 1xx answer is not asked for and not expected
      Arm();
      auto [error, n] = co_await http::async_read_header(stream_, buffer, parser, kTuple);
      if (error) co_return CallFailed("read the answer", error);
    }
    HttpReply reply;
    reply.status = parser.get().result_int();
    for (auto& field : parser.get()) {
      reply.headers.Add({field.name_string().data(), field.name_string().size()},
                        {field.value().data(), field.value().size()});
    }
    bool gather = !on_piece || reply.status < 200 || reply.status >= 300;
    std::vector<char> piece(64 << 10);
    while (!parser.is_done()) {
      parser.get().body().data = piece.data();
      parser.get().body().size = piece.size();
      Arm();
      auto [error, n] = co_await http::async_read_some(stream_, buffer, parser, kTuple);
      std::string_view got(piece.data(), piece.size() - parser.get().body().size);
      if (gather) reply.body += got;
      if (!gather && !got.empty() && !on_piece(got)) break;
      if (error && error != http::error::need_buffer) {
        co_return CallFailed("read the answer", error);
      }
    }
    co_return reply;
  }

  Stream& stream_;
  std::chrono::milliseconds idle_;
  const HttpEndpoint& endpoint_;
};

Task<Result<void>> Connect(TcpStream& stream, const HttpEndpoint& endpoint) {
  std::string what = "connect to " + endpoint.HostField();
  asio::ip::basic_resolver<Tcp, Executor> resolver(stream.get_executor());
  auto [unknown, found] =
      co_await resolver.async_resolve(endpoint.host, std::to_string(endpoint.port), kTuple);
  if (unknown) co_return CallFailed(what, unknown);
  stream.expires_after(kConnectTimeout);
  auto [refused, peer] = co_await stream.async_connect(found, kTuple);
  if (refused) co_return CallFailed(what, refused);
  beast::error_code ignored;
  stream.socket().set_option(Tcp::no_delay(true), ignored);
  co_return Result<void>();
}

Task<Result<HttpReply>> CallPlain(const HttpEndpoint& endpoint, std::chrono::milliseconds idle,
                                  Executor loop, HttpCall& call,
                                  std::function<bool(std::string_view)>& on_piece) {
  TcpStream stream(loop);
  CO_TRY(co_await Connect(stream, endpoint));
  Exchange<TcpStream> exchange(stream, idle, endpoint);
  co_return co_await exchange.Run(call, on_piece);
}

Task<Result<HttpReply>> CallTls(const HttpEndpoint& endpoint, std::chrono::milliseconds idle,
                                Executor loop, HttpCall& call,
                                std::function<bool(std::string_view)>& on_piece) {
  ssl::context context(ssl::context::tls_client);
  beast::error_code error;
  context.set_default_verify_paths(error);
  context.set_verify_mode(ssl::verify_peer, error);
  beast::ssl_stream<TcpStream> stream(TcpStream(loop), context);
  SSL_set_tlsext_host_name(stream.native_handle(), endpoint.host.c_str());
  stream.set_verify_callback(ssl::host_name_verification(endpoint.host), error);
  CO_TRY(co_await Connect(stream.next_layer(), endpoint));
  auto [refused] = co_await stream.async_handshake(ssl::stream_base::client, kTuple);
  if (refused) co_return CallFailed("TLS with " + endpoint.HostField(), refused);
  Exchange<beast::ssl_stream<TcpStream>> exchange(stream, idle, endpoint);
  co_return co_await exchange.Run(call, on_piece);
}

}  // namespace

Result<HttpEndpoint> HttpEndpoint::Parse(std::string_view url) {
  HttpEndpoint endpoint;
  auto bad = [&] {
    return Fail(Code::kInvalid,
                "the endpoint " + std::string(url) + " is not a URL such as http://127.0.0.1:4566");
  };
  std::string_view rest = url;
  if (rest.starts_with("https://")) {
    endpoint.tls = true;
    endpoint.port = 443;
    rest.remove_prefix(8);
  } else if (rest.starts_with("http://")) {
    rest.remove_prefix(7);
  } else {
    return bad();
  }
  if (rest.ends_with('/')) rest.remove_suffix(1);
  std::string_view port;
  if (rest.starts_with('[')) {
    auto close = rest.find(']');
    if (close == rest.npos) return bad();
    endpoint.host = rest.substr(1, close - 1);
    port = rest.substr(close + 1);
  } else {
    endpoint.host = rest.substr(0, rest.find(':'));
    port = rest.substr(endpoint.host.size());
  }
  if (endpoint.host.empty() || endpoint.host.find_first_of("/?#@ \t\r\n") != std::string::npos) {
    return bad();
  }
  if (port.empty()) return endpoint;
  const char* end = port.data() + port.size();
  auto parsed = std::from_chars(port.data() + 1, end, endpoint.port);
  if (port[0] != ':' || parsed.ec != std::errc() || parsed.ptr != end || endpoint.port == 0) {
    return bad();
  }
  return endpoint;
}

std::string HttpEndpoint::HostField() const {
  std::string field = host.find(':') == host.npos ? host : "[" + host + "]";
  if (port != (tls ? 443 : 80)) field += ":" + std::to_string(port);
  return field;
}

Result<HttpReply> HttpClient::Call(HttpCall call,
                                   std::function<bool(std::string_view piece)> on_piece) const {
  asio::io_context loop(1);
  Result<HttpReply> reply = Fail(Code::kInternal, "the call did not end");
  std::exception_ptr thrown;
  auto run = endpoint_.tls ? CallTls : CallPlain;
  asio::co_spawn(Executor(loop.get_executor()),
                 run(endpoint_, idle_timeout_, loop.get_executor(), call, on_piece),
                 [&](std::exception_ptr error, Result<HttpReply> result) {
                   thrown = error;
                   reply = std::move(result);
                 });
  loop.run();
  if (thrown) std::rethrow_exception(thrown);
  return reply;
}

bool LineSplitter::operator()(std::string_view piece) {
  while (true) {
    auto end = piece.find('\n');
    if (end == piece.npos) break;
    rest_ += piece.substr(0, end);
    if (rest_.ends_with('\r')) rest_.pop_back();
    piece.remove_prefix(end + 1);
    if (!on_line_(std::exchange(rest_, {}))) return false;
  }
  rest_ += piece;
  return true;
}

bool LineSplitter::Finish() { return rest_.empty() || on_line_(std::exchange(rest_, {})); }

}  // namespace samovar
