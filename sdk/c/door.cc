#include "door.h"

#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/value_to.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>

#include "os/fd.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr const char* kVariable = "SAMOVAR_COLLECTIONS_DOOR";
constexpr timeval kPatience{60, 0};
constexpr std::size_t kLongestAnswer = 64 << 20;

Result<Fd> Connect() {
  const char* path = std::getenv(kVariable);
  if (!path) {
    return Fail(Code::kPrecondition,
                "this function may read collections, not write them: its tag samovar:collections "
                "has to name the collection with rw, as in films:rw");
  }
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (std::strlen(path) >= sizeof name.sun_path) {
    return Fail(Code::kUnavailable, std::string(kVariable) + ": the path is too long");
  }
  std::strcpy(name.sun_path, path);
  Fd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  if (!fd) return std::unexpected(ErrnoError("reach the server"));
  ::setsockopt(fd.Get(), SOL_SOCKET, SO_RCVTIMEO, &kPatience, sizeof kPatience);
  ::setsockopt(fd.Get(), SOL_SOCKET, SO_SNDTIMEO, &kPatience, sizeof kPatience);
  if (::connect(fd.Get(), reinterpret_cast<const sockaddr*>(&name), sizeof name) != 0) {
    return std::unexpected(ErrnoError("reach the server"));
  }
  return fd;
}

// Whether all of it went; the server may have answered and gone before.
bool SendAll(int fd, std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = ::send(fd, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return false;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
  return true;
}

std::string ReceiveAll(int fd) {
  std::string answer;
  char piece[16384];
  while (answer.size() < kLongestAnswer) {
    const ssize_t got = ::recv(fd, piece, sizeof piece, 0);
    if (got < 0 && errno == EINTR) continue;
    if (got <= 0) break;
    answer.append(piece, static_cast<std::size_t>(got));
  }
  return answer;
}

Code CodeOf(std::string_view status) {
  if (status == "400" || status == "413") return Code::kInvalid;
  if (status == "403") return Code::kPrecondition;
  if (status == "404") return Code::kNotFound;
  return Code::kUnavailable;
}

Result<json::object> ReadAnswer(const std::string& answer) {
  const std::size_t end = answer.find("\r\n\r\n");
  if (!answer.starts_with("HTTP/1.1 ") || end == std::string::npos) {
    return Fail(Code::kUnavailable, "the server gave no answer");
  }
  boost::system::error_code error;
  const auto body = json::parse({answer.data() + end + 4, answer.size() - end - 4}, error);
  if (error || !body.is_object()) return Fail(Code::kUnavailable, "the server's answer is cut off");
  const std::string_view status(answer.data() + 9, 3);
  if (status == "200") return body.get_object();
  const auto* why = body.get_object().if_contains("error");
  return Fail(CodeOf(status), why && why->is_string()
                                  ? std::string(why->get_string())
                                  : "the server answered " + std::string(status));
}

}  // namespace

Result<samovar_ack> WriteThroughDoor(const std::string& collection, std::string_view changes) {
  TRY(const auto fd, Connect());
  const std::string body = "{\"changes\":" + std::string(changes) + "}";
  const std::string head = "POST /samovar/v1/collections/" + collection +
                           "/batch HTTP/1.1\r\nHost: samovar\r\nConnection: close\r\n"
                           "Content-Type: application/json\r\nContent-Length: " +
                           std::to_string(body.size()) + "\r\n\r\n";
  if (SendAll(fd.Get(), head)) (void)SendAll(fd.Get(), body);
  TRY(const auto answer, ReadAnswer(ReceiveAll(fd.Get())));
  auto number = [&](std::string_view name) -> std::uint64_t {
    const auto* found = answer.if_contains(name);
    boost::system::error_code error;
    return found ? found->to_number<std::uint64_t>(error) : 0;
  };
  const auto* missing = answer.if_contains("missing");
  return samovar_ack{number("generation"), number("put"), number("updated"), number("deleted"),
                     missing && missing->is_array() ? missing->get_array().size() : 0};
}

}  // namespace samovar
