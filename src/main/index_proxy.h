#pragma once
// IndexProxy: the only way out of a build's sandbox: to the package indexes, and nowhere else.
//
// How      An HTTP proxy on a Unix socket, run by the command outside of the sandbox: CONNECT, and
//          plain requests for indexes without TLS. A host is allowed by name, or by name and port;
//          others get 403 and are remembered. Where the caller's own environment names a proxy, the
//          way goes on through it.
// Errors   kUnavailable where no socket can be made. What fails on the way is told to the client.
// Threads  Start() makes one, and one for each connection; all end with the object.

#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

struct ProxyTarget {
  std::string host;
  std::string port;
};

// "example.org:443", "[::1]:80"; `port` where the text has none. nullopt for no host.
std::optional<ProxyTarget> ParseTarget(std::string_view text, std::string_view port);
// "https://user:pass@example.org:8443/simple/" -> example.org, 8443; nullopt for no http(s) URL.
std::optional<ProxyTarget> TargetOfUrl(std::string_view url);

class IndexProxy {
 public:
  // `allowed`: "example.org" or "example.org:8443". `upstream`: "http://proxy:3128" or "".
  static Result<std::unique_ptr<IndexProxy>> Start(std::set<std::string> allowed,
                                                   std::string upstream);
  ~IndexProxy();
  IndexProxy(const IndexProxy&) = delete;
  IndexProxy& operator=(const IndexProxy&) = delete;

  const std::string& SocketPath() const { return path_; }
  // Hosts that were asked for and refused since the last call.
  std::set<std::string> TakeRefused();

 private:
  IndexProxy(std::set<std::string> allowed, std::string upstream)
      : allowed_(std::move(allowed)), upstream_(std::move(upstream)) {}
  void Accept();
  void Serve(int client);
  Fd Reach(const ProxyTarget& target, bool tunnel, std::string& why);
  bool Allows(const ProxyTarget& target);

  const std::set<std::string> allowed_;
  const std::string upstream_;
  std::string folder_, path_;
  Fd listener_;
  std::mutex mutex_;
  std::set<std::string> refused_;
  std::set<int> open_;  // sockets to be shut down at the end
  bool stopping_ = false;
  std::vector<std::thread> connections_;
  std::thread acceptor_;
};

// Carries bytes both ways until both ends are done.
void CarryBothWays(int a, int b);

}  // namespace samovar
