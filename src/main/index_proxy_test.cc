#include "main/index_proxy.h"

#include <fmt/format.h>
#include <gmock/gmock.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <thread>

namespace samovar {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

// What comes until the other end closes.
std::string ReadAll(int fd) {
  std::string all;
  char buffer[4096];
  for (ssize_t n; (n = recv(fd, buffer, sizeof buffer, 0)) > 0;) {
    all.append(buffer, static_cast<std::size_t>(n));
  }
  return all;
}

// An index on loopback that answers each connection by what it was asked, then ends.
class Index {
 public:
  Index() : listener_(socket(AF_INET, SOCK_STREAM, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* at = reinterpret_cast<sockaddr*>(&address);
    EXPECT_EQ(bind(listener_.Get(), at, size), 0);
    EXPECT_EQ(listen(listener_.Get(), 8), 0);
    EXPECT_EQ(getsockname(listener_.Get(), at, &size), 0);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] {
      for (;;) {
        const Fd client(accept(listener_.Get(), nullptr, nullptr));
        if (!client) return;
        std::string said = "ASKED ";
        char buffer[4096];
        while (!said.ends_with("\r\n\r\n")) {  // a head may come in pieces
          const auto n = recv(client.Get(), buffer, sizeof buffer, 0);
          if (n <= 0) break;
          said.append(buffer, static_cast<std::size_t>(n));
        }
        send(client.Get(), said.data(), said.size(), MSG_NOSIGNAL);
      }
    });
  }
  ~Index() {
    shutdown(listener_.Get(), SHUT_RDWR);
    thread_.join();
  }
  std::string Address() const { return fmt::format("127.0.0.1:{}", port_); }

 private:
  Fd listener_;
  int port_ = 0;
  std::thread thread_;
};

std::string Ask(const IndexProxy& proxy, const std::string& text) {
  const Fd fd(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  proxy.SocketPath().copy(address.sun_path, sizeof address.sun_path - 1);
  EXPECT_EQ(connect(fd.Get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  send(fd.Get(), text.data(), text.size(), MSG_NOSIGNAL);
  return ReadAll(fd.Get());
}

TEST(IndexProxyTest, LeadsToTheIndexesAndNowhereElse) {
  const Index index;
  const auto proxy = IndexProxy::Start({index.Address(), "index.example"}, "").value();
  EXPECT_EQ(Ask(*proxy, fmt::format("CONNECT {} HTTP/1.1\r\n\r\nhello\r\n\r\n", index.Address())),
            "HTTP/1.1 200 Connection established\r\n\r\nASKED hello\r\n\r\n");
  for (const char* other : {"localhost:22", "127.0.0.1:1", "evil.example:443",
                            "INDEX.example.evil:443", "169.254.169.254:80"}) {
    EXPECT_THAT(Ask(*proxy, fmt::format("CONNECT {} HTTP/1.1\r\n\r\n", other)),
                StartsWith("HTTP/1.1 403 "))
        << other;
  }
  EXPECT_THAT(proxy->TakeRefused(), testing::Contains("evil.example"));
  EXPECT_TRUE(proxy->TakeRefused().empty());
  for (const char* bad : {"CONNECT : HTTP/1.1\r\n\r\n", "GET /x HTTP/1.1\r\n\r\n",
                          "GET ftp://index.example/ HTTP/1.1\r\n\r\n"}) {
    EXPECT_THAT(Ask(*proxy, bad), StartsWith("HTTP/1.1 400 ")) << bad;
  }
}

TEST(IndexProxyTest, CarriesPlainRequestsOneAConnection) {
  const Index index;
  const auto proxy = IndexProxy::Start({index.Address()}, "").value();
  const auto answer = Ask(*proxy, fmt::format("GET http://{0}/simple/a?b HTTP/1.1\r\nHost: {0}\r\n"
                                              "Connection: keep-alive\r\nX: y\r\n\r\n",
                                              index.Address()));
  EXPECT_EQ(answer, fmt::format("ASKED GET /simple/a?b HTTP/1.1\r\nConnection: close\r\n"
                                "Host: {}\r\nX: y\r\n\r\n",
                                index.Address()));
}

TEST(IndexProxyTest, GoesOnThroughTheCallersProxy) {
  const Index upstream;
  const auto proxy =
      IndexProxy::Start({"index.example"}, "http://me:p%40ss@" + upstream.Address()).value();
  // The upstream says no HTTP, so the client is told what it said.
  EXPECT_THAT(Ask(*proxy, "CONNECT index.example:443 HTTP/1.1\r\n\r\n"),
              StartsWith("HTTP/1.1 502 "));
  EXPECT_THAT(Ask(*proxy, "GET http://index.example/ HTTP/1.1\r\n\r\n"),
              HasSubstr("ASKED GET http://index.example/ HTTP/1.1\r\nConnection: close\r\n"
                        "Proxy-Authorization: Basic bWU6cEBzcw=="));
}

TEST(IndexProxyTest, EndsWhileConnectionsAreOpen) {
  const Index index;
  auto proxy = IndexProxy::Start({index.Address()}, "").value();
  const auto path = proxy->SocketPath();
  const Fd idle(socket(AF_UNIX, SOCK_STREAM, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  path.copy(address.sun_path, sizeof address.sun_path - 1);
  ASSERT_EQ(connect(idle.Get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
  proxy.reset();
  EXPECT_EQ(ReadAll(idle.Get()), "");
  struct stat about{};
  EXPECT_NE(stat(path.c_str(), &about), 0);
}

TEST(IndexProxyTest, FindsTheHostOfAnAddress) {
  const auto text = [](const std::optional<ProxyTarget>& target) {
    return target ? target->host + " " + target->port : "none";
  };
  EXPECT_EQ(text(TargetOfUrl("https://user:p@ss@Index.example/simple/")), "index.example 443");
  EXPECT_EQ(text(TargetOfUrl("http://[::1]:8080/simple")), "::1 8080");
  EXPECT_EQ(text(TargetOfUrl("file:///srv/wheels")), "none");
  EXPECT_EQ(text(ParseTarget("a:b", "443")), "none");
  EXPECT_EQ(text(ParseTarget("a", "443")), "a 443");
}

}  // namespace
}  // namespace samovar
