// An echo over the Lambda Runtime API, with nothing between it and the socket: what the server
// alone costs for a `provided` function. One kept-alive connection, no allocation a call.
//
// Source   docs.aws.amazon.com, "Using the Lambda runtime API for custom runtimes".

#include <arpa/inet.h>
#include <netinet/tcp.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <string>
#include <string_view>

namespace {

[[noreturn]] void Die(const char* what) {
  std::perror(what);
  std::exit(1);
}

int Connect(std::string host) {
  const std::size_t colon = host.rfind(':');
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<std::uint16_t>(std::atoi(host.c_str() + colon + 1)));
  host.resize(colon);
  if (inet_pton(AF_INET, host.c_str(), &address.sin_addr) != 1) Die("AWS_LAMBDA_RUNTIME_API");
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  const int on = 1;
  setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  if (connect(fd, reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) Die("connect");
  return fd;
}

void Send(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t n = write(fd, bytes.data(), bytes.size());
    if (n <= 0) Die("write");
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
}

// The value of a header of the answer's head, or "".
std::string_view Field(std::string_view head, std::string_view name) {
  for (std::size_t at = head.find("\r\n"); at != std::string_view::npos;
       at = head.find("\r\n", at)) {
    at += 2;
    if (head.size() - at > name.size() && head[at + name.size()] == ':' &&
        strncasecmp(head.data() + at, name.data(), name.size()) == 0) {
      std::string_view value = head.substr(at + name.size() + 1);
      value = value.substr(0, value.find("\r\n"));
      while (value.starts_with(' ')) value.remove_prefix(1);
      return value;
    }
  }
  return {};
}

// Reads one answer with a Content-Length into `buffer`; the body starts at the offset returned.
std::size_t Receive(int fd, std::string& buffer) {
  buffer.clear();
  std::size_t body = std::string::npos, end = 0;
  char piece[65536];
  while (body == std::string::npos || buffer.size() < end) {
    const ssize_t n = read(fd, piece, sizeof piece);
    if (n <= 0) std::exit(0);  // the server is done with this instance
    buffer.append(piece, static_cast<std::size_t>(n));
    if (body != std::string::npos) continue;
    const std::size_t head = buffer.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    body = head + 4;
    const std::string_view length =
        Field(std::string_view(buffer).substr(0, head + 2), "Content-Length");
    end = body + std::strtoul(std::string(length).c_str(), nullptr, 10);
  }
  return body;
}

}  // namespace

int main() {
  const char* api = std::getenv("AWS_LAMBDA_RUNTIME_API");
  if (api == nullptr) Die("AWS_LAMBDA_RUNTIME_API is not set");
  const std::string base = "/2018-06-01/runtime/invocation/";
  const std::string host = std::string(" HTTP/1.1\r\nHost: ") + api + "\r\n";
  const std::string next = "GET " + base + "next" + host + "\r\n";
  const int fd = Connect(api);
  std::string buffer, reply;
  for (;;) {
    Send(fd, next);
    const std::size_t body = Receive(fd, buffer);
    const std::string_view all = buffer;
    reply = "POST " + base;
    reply += Field(all.substr(0, body), "Lambda-Runtime-Aws-Request-Id");
    reply += "/response" + host + "Content-Type: application/json\r\nContent-Length: ";
    reply += std::to_string(all.size() - body) + "\r\n\r\n";
    reply += all.substr(body);
    Send(fd, reply);
    Receive(fd, buffer);
  }
}
