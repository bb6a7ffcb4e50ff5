#pragma once
// HttpConnection: one client of an HttpServer, from accept to close.
//
// How      Reads into one buffer, parses there, hands the request to the handler with itself as
//          the body reader, and sends head and body with one system call. It keeps no timer: it
//          says until when the present wait may last (CutAt) and the server's tick cuts it.
// Threads  The event loop only.

#include <sys/uio.h>
#include <boost/asio/ip/tcp.hpp>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "net/http.h"
#include "net/http_head_parser.h"
#include "net/http_server.h"

namespace samovar {

// What the connections of one server share.
struct HttpService {
  const Clock& clock;
  HttpServerOptions options;
  HttpHandler handler;
  bool stopping = false;
};

class HttpConnection final : public BodyReader {
 public:
  using Socket = asio::basic_stream_socket<asio::ip::tcp, Executor>;

  HttpConnection(HttpService& service, Socket socket);

  // Serves until either side ends the connection.
  Task<void> Serve();
  void Cut();
  // Ends what needs no waiting for: an idle connection, an endless stream.
  void WindUp();
  SteadyTime CutAt() const { return cut_at_; }

  Task<Result<std::string>> ReadAll(Bytes limit) override;
  Task<Result<std::optional<std::string>>> ReadSome() override;
  std::optional<std::uint64_t> Announced() const override;
  const Headers& Trailers() const override { return trailers_; }

 private:
  enum class Head { kRead, kClosed, kMalformed, kTooLarge };

  Task<Head> ReadHead(HttpRequest& request);
  Task<bool> Answer(HttpRequest request);
  Task<HttpResponse> CallHandler(HttpRequest request);
  Task<bool> Respond(HttpResponse response, bool head_only, bool keep);
  Task<bool> RespondStreaming(BodyStream stream, bool chunked);
  Task<bool> PumpStream(BodyStream stream, bool chunked);
  Task<bool> PeerGone();
  Task<void> Refuse(unsigned status, std::string message);
  Task<void> Linger();

  Task<Result<void>> BeforeBody();
  Task<Result<std::optional<std::string>>> ReadChunked();
  Task<Result<std::size_t>> Receive(char* to, std::size_t size);
  Task<bool> Fill();
  Task<bool> Send(std::span<iovec> pieces);
  void BuildHead(const HttpResponse& response, bool head_only, bool keep, bool chunked);
  bool BodyRead() const;
  bool MayKeep() const;
  void Allow(std::chrono::nanoseconds wait) { cut_at_ = service_.clock.Now() + wait; }
  std::string_view Buffered() const { return {buffer_.data() + begin_, end_ - begin_}; }

  HttpService& service_;
  Socket socket_;
  std::string peer_;
  std::vector<char> buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::optional<HttpHeadParser> parser_;
  Headers trailers_;
  std::uint64_t body_left_ = 0;  // of a body with a length
  bool chunked_ = false;
  bool http10_ = false;
  bool keep_ = false;
  bool continue_owed_ = false;  // the client waits for "100 Continue"
  bool idle_ = true;
  bool endless_ = false;  // the answer now streaming is
  bool sending_ = false;
  bool broken_ = false;  // the body was malformed or cut off
  SteadyTime cut_at_ = SteadyTime::max();
  std::string head_;
};

}  // namespace samovar
