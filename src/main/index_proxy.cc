#include "main/index_proxy.h"

#include <fmt/format.h>
#include <netdb.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <optional>

#include "base/encoding.h"

namespace samovar {

namespace {

constexpr std::size_t kMaxHead = 64 << 10;
constexpr timeval kConnectWithin{.tv_sec = 30, .tv_usec = 0};

bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const auto n = send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(n));
  }
  return true;
}

// A message's head and what came with it; "" where none came.
std::string ReadHead(int fd) {
  std::string head;
  char buffer[8192];
  while (head.find("\r\n\r\n") == head.npos && head.size() < kMaxHead) {
    const auto n = recv(fd, buffer, sizeof buffer, 0);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) return "";
    head.append(buffer, static_cast<std::size_t>(n));
  }
  return head;
}

void Refuse(int client, std::string_view status, const std::string& why) {
  SendAll(client, fmt::format("HTTP/1.1 {}\r\nContent-Type: text/plain\r\nContent-Length: {}\r\n"
                              "Connection: close\r\n\r\n{}\n",
                              status, why.size() + 1, why));
}

Fd Dial(const ProxyTarget& target, std::string& why) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  addrinfo* list = nullptr;
  const int failed = getaddrinfo(target.host.c_str(), target.port.c_str(), &hints, &list);
  if (failed != 0) {
    why = fmt::format("{}: {}", target.host, gai_strerror(failed));
    return {};
  }
  const std::unique_ptr<addrinfo, void (*)(addrinfo*)> all(list, freeaddrinfo);
  for (const addrinfo* at = list; at != nullptr; at = at->ai_next) {
    Fd fd(socket(at->ai_family, at->ai_socktype | SOCK_CLOEXEC, at->ai_protocol));
    if (!fd) continue;
    setsockopt(fd.Get(), SOL_SOCKET, SO_SNDTIMEO, &kConnectWithin, sizeof kConnectWithin);
    if (connect(fd.Get(), at->ai_addr, at->ai_addrlen) == 0) return fd;
    why = ErrnoError(target.host).message;
  }
  return {};
}

// "user:pass@" of a URL as the value of Proxy-Authorization; "" where there is none.
std::string AuthorizationOf(std::string_view url) {
  const auto start = url.find("://");
  const auto at = url.find('@');
  if (start == url.npos || at == url.npos) return "";
  const auto user = PercentDecode(url.substr(start + 3, at - start - 3));
  return user ? "Proxy-Authorization: Basic " + Base64Encode(*user) + "\r\n" : "";
}

}  // namespace

std::optional<ProxyTarget> ParseTarget(std::string_view text, std::string_view port) {
  ProxyTarget target{.host = std::string(text), .port = std::string(port)};
  const auto bracket = text.rfind(']');
  const auto colon = text.rfind(':');
  if (colon != text.npos && (bracket == text.npos || colon > bracket)) {
    target.host = text.substr(0, colon);
    target.port = text.substr(colon + 1);
  }
  if (target.host.starts_with('[') && target.host.ends_with(']')) {
    target.host = target.host.substr(1, target.host.size() - 2);
  }
  std::ranges::transform(target.host, target.host.begin(), [](unsigned char c) {
    return static_cast<char>(c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c);
  });
  const bool number = !target.port.empty() && target.port.size() <= 5 &&
                      std::ranges::all_of(target.port, [](char c) { return c >= '0' && c <= '9'; });
  if (target.host.empty() || !number) return std::nullopt;
  return target;
}

std::optional<ProxyTarget> TargetOfUrl(std::string_view url) {
  const bool tls = url.starts_with("https://");
  if (!tls && !url.starts_with("http://")) return std::nullopt;
  url.remove_prefix(tls ? 8 : 7);
  url = url.substr(0, url.find_first_of("/?#"));
  if (const auto at = url.rfind('@'); at != url.npos) url.remove_prefix(at + 1);
  return ParseTarget(url, tls ? "443" : "80");
}

void CarryBothWays(int a, int b) {
  char buffer[64 << 10];
  bool open_a = true, open_b = true;  // whether bytes may still come from there
  while (open_a || open_b) {
    pollfd ends[] = {{open_a ? a : -1, POLLIN, 0}, {open_b ? b : -1, POLLIN, 0}};
    if (poll(ends, 2, -1) < 0) {
      if (errno == EINTR) continue;
      return;
    }
    for (int i = 0; i < 2; ++i) {
      if (ends[i].revents == 0) continue;
      const int from = i == 0 ? a : b, to = i == 0 ? b : a;
      const auto n = recv(from, buffer, sizeof buffer, 0);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return;
      if (n > 0 && !SendAll(to, {buffer, static_cast<std::size_t>(n)})) return;
      if (n > 0) continue;
      shutdown(to, SHUT_WR);
      (i == 0 ? open_a : open_b) = false;
    }
  }
}

Result<std::unique_ptr<IndexProxy>> IndexProxy::Start(std::set<std::string> allowed,
                                                      std::string upstream) {
  std::unique_ptr<IndexProxy> proxy(new IndexProxy(std::move(allowed), std::move(upstream)));
  // A short path, which a socket's address must be, in a folder that only the caller may enter.
  std::string folder = "/tmp/samovar-build-XXXXXX";
  if (mkdtemp(folder.data()) == nullptr) return std::unexpected(ErrnoError("make " + folder));
  proxy->folder_ = folder;
  proxy->path_ = folder + "/proxy";
  proxy->listener_ = Fd(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  proxy->path_.copy(address.sun_path, sizeof address.sun_path - 1);
  if (!proxy->listener_ ||
      bind(proxy->listener_.Get(), reinterpret_cast<const sockaddr*>(&address), sizeof address) !=
          0 ||
      listen(proxy->listener_.Get(), 64) != 0) {
    return std::unexpected(ErrnoError("listen on " + proxy->path_));
  }
  proxy->acceptor_ = std::thread([self = proxy.get()] { self->Accept(); });
  return proxy;
}

IndexProxy::~IndexProxy() {
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
    if (listener_) shutdown(listener_.Get(), SHUT_RDWR);
    for (const int fd : open_) shutdown(fd, SHUT_RDWR);
  }
  if (acceptor_.joinable()) acceptor_.join();
  for (auto& connection : connections_) connection.join();
  std::error_code ignored;
  if (!folder_.empty()) std::filesystem::remove_all(folder_, ignored);
}

std::set<std::string> IndexProxy::TakeRefused() {
  const std::lock_guard lock(mutex_);
  return std::exchange(refused_, {});
}

bool IndexProxy::Allows(const ProxyTarget& target) {
  if (allowed_.contains(target.host) || allowed_.contains(target.host + ":" + target.port)) {
    return true;
  }
  const std::lock_guard lock(mutex_);
  refused_.insert(target.host);
  return false;
}

void IndexProxy::Accept() {
  for (;;) {
    const int client = accept4(listener_.Get(), nullptr, nullptr, SOCK_CLOEXEC);
    const std::lock_guard lock(mutex_);
    if (stopping_ || (client < 0 && errno != EINTR && errno != ECONNABORTED)) {
      if (client >= 0) close(client);
      return;
    }
    if (client < 0) continue;
    open_.insert(client);
    connections_.emplace_back([this, client] {
      Serve(client);
      const std::lock_guard end(mutex_);
      open_.erase(client);
      close(client);
    });
  }
}

// A connection to the target, or to the proxy before it.
Fd IndexProxy::Reach(const ProxyTarget& target, bool tunnel, std::string& why) {
  const auto before = TargetOfUrl(upstream_);
  Fd server = Dial(before ? *before : target, why);
  if (!server || !before || !tunnel) return server;
  SendAll(server.Get(), fmt::format("CONNECT {0}:{1} HTTP/1.1\r\nHost: {0}:{1}\r\n{2}\r\n",
                                    target.host, target.port, AuthorizationOf(upstream_)));
  const auto head = ReadHead(server.Get());
  if (head.size() > 12 && head.substr(8, 4) == " 200") return server;
  why = "the proxy answered " + head.substr(0, head.find('\r'));
  return {};
}

void IndexProxy::Serve(int client) {
  const auto head = ReadHead(client);
  const auto space = head.find(' '), end = head.find(' ', space + 1);
  if (space == head.npos || end == head.npos) return;
  const auto method = head.substr(0, space), url = head.substr(space + 1, end - space - 1);
  const bool tunnel = method == "CONNECT";
  const auto target = tunnel ? ParseTarget(url, "443") : TargetOfUrl(url);
  if (!target || (!tunnel && !url.starts_with("http://"))) {
    return Refuse(client, "400 Bad Request", "this is a proxy for package indexes");
  }
  if (!Allows(*target)) {
    return Refuse(client, "403 Forbidden",
                  fmt::format("{} is no package index of this build", target->host));
  }
  std::string why;
  const Fd server = Reach(*target, tunnel, why);
  if (!server) return Refuse(client, "502 Bad Gateway", why);
  {
    const std::lock_guard lock(mutex_);
    if (stopping_) return;
    open_.insert(server.Get());
  }
  if (tunnel) {
    const auto rest = head.find("\r\n\r\n") + 4;
    SendAll(client, "HTTP/1.1 200 Connection established\r\n\r\n");
    SendAll(server.Get(), std::string_view(head).substr(rest));
  } else {
    // One request a connection, as the next may be for another host.
    const auto line = head.find("\r\n");
    const auto path = url.find('/', 7);
    const bool further = !upstream_.empty();
    SendAll(server.Get(), fmt::format("{} {} HTTP/1.1\r\nConnection: close\r\n{}", method,
                                      further ? url : (path == url.npos ? "/" : url.substr(path)),
                                      further ? AuthorizationOf(upstream_) : ""));
    std::string fields = head.substr(line + 2);
    for (const char* name : {"\r\nConnection: keep-alive", "\r\nconnection: keep-alive"}) {
      if (const auto at = fields.find(name); at != fields.npos) {
        fields.erase(at, std::string_view(name).size());
      }
    }
    SendAll(server.Get(), fields);
  }
  CarryBothWays(client, server.Get());
  const std::lock_guard lock(mutex_);
  open_.erase(server.Get());
}

}  // namespace samovar
