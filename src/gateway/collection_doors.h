#pragma once
// CollectionDoors: where functions write their collections, and read them without our library: a
// Unix socket in each sandbox, which speaks docs/openapi/collections.yaml.
//
// Why      A function that learns something puts it into a collection by itself, in any language,
//          from any thread, in clones too, and needs no network and no key.
// How      One listening socket for each function and its rights, in a folder of its own that is
//          mounted into that function's sandboxes and no others; who can reach it is who may use
//          it. It goes when the last lease does.
// Errors   kUnavailable where the socket cannot be made.
// Units    At most kAtATime exchanges of one function run, the others wait; kMaxConnections are
//          open.
// Threads  The event loop only.

#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "base/task.h"
#include "functions/collection_access.h"
#include "instances/signal.h"
#include "net/http.h"
#include "net/task_group.h"

namespace samovar {

class CollectionDoors {
 public:
  static constexpr int kAtATime = 4;
  static constexpr std::size_t kMaxConnections = 1024;

  // `rights` lives as long as the exchange.
  using Handler = std::function<Task<HttpResponse>(HttpRequest, const CollectionRights& rights)>;

  // `folder`: where the sockets lie; what an earlier server left there is removed.
  static Result<std::unique_ptr<CollectionDoors>> Open(Executor loop, const Clock& clock,
                                                       std::string folder, Handler handler);
  ~CollectionDoors();  // REQUIRES: Stop() was awaited, or the loop no longer runs

  struct Lease {
    std::string folder;  // has the socket `door` in it
    std::shared_ptr<void> keep;
  };
  // `key` names the function and what its rights were made of.
  Result<Lease> Enter(const std::string& key, const CollectionRights& rights);
  Task<void> Stop();

 private:
  struct Door;

  CollectionDoors(Executor loop, const Clock& clock, std::string folder, Handler handler);
  Result<std::unique_ptr<Door>> Make(const CollectionRights& rights);
  Task<void> Close(std::unique_ptr<Door> door);

  Executor loop_;
  const Clock& clock_;
  std::string folder_;
  Handler handler_;
  std::uint64_t next_ = 0;
  std::map<std::string, std::weak_ptr<Door>> doors_;
  int closing_count_ = 0;
  Signal closed_;
  TaskGroup closing_;
  std::shared_ptr<bool> open_ = std::make_shared<bool>(true);
};

}  // namespace samovar
