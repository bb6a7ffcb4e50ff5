#include "gateway/collection_doors.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cstring>
#include <filesystem>

#include "net/http_server.h"
#include "os/fd.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr HttpServerOptions kOptions{.max_connections = CollectionDoors::kMaxConnections,
                                     .idle_timeout = std::chrono::seconds(30),
                                     .head_timeout = std::chrono::seconds(10),
                                     .exchange_timeout = std::chrono::seconds(60)};
constexpr int kBacklog = 1024;

// A listening socket `door` in the folder, which everybody who sees the folder may connect to.
// Bound by way of the folder's descriptor, as a socket's path has at most 107 bytes.
Result<Fd> ListenIn(const std::string& folder) {
  const std::string what = "make a socket in " + folder;
  Fd base(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!base) return std::unexpected(ErrnoError(what));
  Fd listener(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!listener) return std::unexpected(ErrnoError(what));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  const std::string path = "/proc/self/fd/" + std::to_string(base.Get()) + "/door";
  std::memcpy(name.sun_path, path.c_str(), path.size() + 1);
  const auto* address = reinterpret_cast<const sockaddr*>(&name);
  if (::bind(listener.Get(), address, sizeof name) != 0 || ::chmod(path.c_str(), 0666) != 0 ||
      ::listen(listener.Get(), kBacklog) != 0) {
    return std::unexpected(ErrnoError(what));
  }
  return listener;
}

}  // namespace

struct CollectionDoors::Door {
  Door(const Executor& loop, const Clock& clock, const Handler& handler, CollectionRights its)
      : rights(std::move(its)),
        changed(loop),
        server(loop, clock, kOptions,
               [this, &handler](HttpRequest asked) { return Handle(handler, std::move(asked)); }) {}

  Task<HttpResponse> Handle(const Handler& handler, HttpRequest request) {
    while (running >= kAtATime) co_await changed.Wait();
    struct Place {
      Door& door;
      ~Place() {
        --door.running;
        door.changed.Notify();
      }
    };
    ++running;
    const Place place{*this};
    co_return co_await handler(std::move(request), rights);
  }

  const CollectionRights rights;
  int running = 0;
  Signal changed;
  HttpServer server;
  std::string folder;
};

CollectionDoors::CollectionDoors(Executor loop, const Clock& clock, std::string folder,
                                 Handler handler)
    : loop_(loop),
      clock_(clock),
      folder_(std::move(folder)),
      handler_(std::move(handler)),
      closed_(loop),
      closing_(loop) {}

CollectionDoors::~CollectionDoors() { *open_ = false; }

Result<std::unique_ptr<CollectionDoors>> CollectionDoors::Open(Executor loop, const Clock& clock,
                                                               std::string folder,
                                                               Handler handler) {
  std::error_code error;
  fs::remove_all(folder, error);
  if (!error) fs::create_directories(folder, error);
  if (!error)
    fs::permissions(folder, fs::perms::owner_all, error);  // sandboxes see what lies in it
  if (error) return Fail(Code::kUnavailable, "make " + folder + ": " + error.message());
  return std::unique_ptr<CollectionDoors>(
      new CollectionDoors(std::move(loop), clock, std::move(folder), std::move(handler)));
}

Result<std::unique_ptr<CollectionDoors::Door>> CollectionDoors::Make(
    const CollectionRights& rights) {
  auto door = std::make_unique<Door>(loop_, clock_, handler_, rights);
  door->folder = folder_ + "/" + std::to_string(++next_);
  std::error_code error;
  fs::create_directory(door->folder, error);
  if (error) return Fail(Code::kUnavailable, "make " + door->folder + ": " + error.message());
  ::chmod(door->folder.c_str(), 0755);
  TRY(auto listener, ListenIn(door->folder));
  TRY(door->server.Adopt(listener.Release()));
  return door;
}

Result<CollectionDoors::Lease> CollectionDoors::Enter(const std::string& key,
                                                      const CollectionRights& rights) {
  auto found = doors_.find(key);
  if (found != doors_.end()) {
    if (auto door = found->second.lock()) return Lease{door->folder, door};
  }
  TRY(auto made, Make(rights));
  auto leave = [this, key, open = open_](Door* door) {
    std::unique_ptr<Door> owned(door);
    if (!*open) return;
    if (auto at = doors_.find(key); at != doors_.end() && at->second.expired()) doors_.erase(at);
    ++closing_count_;
    closing_.Spawn(Close(std::move(owned)));
  };
  std::shared_ptr<Door> door(made.release(), std::move(leave));
  doors_[key] = door;
  return Lease{door->folder, door};
}

Task<void> CollectionDoors::Close(std::unique_ptr<Door> door) {
  // Nobody has it mounted any more: what is still open ends by itself, or is cut.
  co_await door->server.Stop(Deadline::After(clock_, std::chrono::seconds(1)));
  std::error_code ignored;
  fs::remove_all(door->folder, ignored);
  door.reset();
  --closing_count_;
  closed_.Notify();
}

Task<void> CollectionDoors::Stop() {
  while (closing_count_ > 0) co_await closed_.Wait();
  *open_ = false;
  co_await closing_.Stop();
}

}  // namespace samovar
