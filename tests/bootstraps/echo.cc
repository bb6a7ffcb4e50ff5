// echo: a `provided` bootstrap in C++ that answers each event with itself.
//
// Why      The least that a program needs to be a function: no library, one connection. Tests run
//          it, and bench/invoke measures the Runtime API with it.
// How      GET .../next, then POST .../ID/response, over one kept-alive HTTP/1.1 connection.
// Errors   It ends with status 1 when the Runtime API says something it does not understand.
// Source   AWS Lambda developer guide, "Using the Lambda runtime API".

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

[[noreturn]] void Die(const char* why) {
  (void)!write(2, why, std::strlen(why));
  (void)!write(2, "\n", 1);
  std::exit(1);
}

class Connection {
 public:
  explicit Connection(const std::string& address) {
    const std::size_t colon = address.rfind(':');
    sockaddr_in to{};
    to.sin_family = AF_INET;
    to.sin_port = htons(static_cast<std::uint16_t>(std::atoi(address.c_str() + colon + 1)));
    inet_pton(AF_INET, address.substr(0, colon).c_str(), &to.sin_addr);
    fd_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    const int on = 1;
    setsockopt(fd_, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (connect(fd_, reinterpret_cast<sockaddr*>(&to), sizeof to) != 0) Die("cannot connect");
  }

  // Sends a request and reads the whole answer.
  void Exchange(const std::string& request) {
    for (std::size_t sent = 0; sent < request.size();) {
      const ssize_t n = write(fd_, request.data() + sent, request.size() - sent);
      if (n <= 0) Die("cannot write");
      sent += static_cast<std::size_t>(n);
    }
    in_.clear();
    std::size_t head_end;
    while ((head_end = in_.find("\r\n\r\n")) == std::string::npos) Fill();
    head_ = in_.substr(0, head_end + 2);
    const std::string length = Header("Content-Length");
    const std::size_t whole = head_end + 4 + (length.empty() ? 0 : std::stoul(length));
    while (in_.size() < whole) Fill();
    body_ = std::string_view(in_).substr(head_end + 4);
  }

  // A header's value; names compare without case.
  std::string Header(std::string_view name) const {
    for (std::size_t at = head_.find("\r\n"); at != std::string::npos;
         at = head_.find("\r\n", at + 2)) {
      const std::string_view line = std::string_view(head_).substr(at + 2);
      if (line.size() > name.size() && line[name.size()] == ':' &&
          strncasecmp(line.data(), name.data(), name.size()) == 0) {
        std::string_view value = line.substr(name.size() + 1);
        value = value.substr(0, value.find("\r\n"));
        while (value.starts_with(' ')) value.remove_prefix(1);
        return std::string(value);
      }
    }
    return "";
  }

  std::string_view Body() const { return body_; }

 private:
  void Fill() {
    char piece[65536];
    const ssize_t n = read(fd_, piece, sizeof piece);
    if (n <= 0) Die("the Runtime API closed the connection");
    in_.append(piece, static_cast<std::size_t>(n));
  }

  int fd_ = -1;
  std::string in_;
  std::string head_;
  std::string_view body_;
};

}  // namespace

int main() {
  const char* api = std::getenv("AWS_LAMBDA_RUNTIME_API");
  if (api == nullptr) Die("AWS_LAMBDA_RUNTIME_API is not set");
  const std::string base = "/2018-06-01/runtime/invocation/";
  const std::string host = std::string(" HTTP/1.1\r\nHost: ") + api + "\r\n";
  Connection connection(api);
  while (true) {
    connection.Exchange("GET " + base + "next" + host + "\r\n");
    const std::string id = connection.Header("Lambda-Runtime-Aws-Request-Id");
    if (id.empty()) Die("no request id");
    const std::string event(connection.Body());
    connection.Exchange("POST " + base + id + "/response" + host +
                        "Content-Length: " + std::to_string(event.size()) + "\r\n\r\n" + event);
  }
}
