#pragma once
// GrpcDoor: inference.GRPCInferenceService on a port of its own.
//
// Why      Clients of inference servers speak gRPC; it needs a server of its own beside ours.
// How      gRPC's threads take calls and send answers; each call hops onto the event loop, asks
//          ModelDoor as HTTP does, and hops back by finishing its reactor, which any thread may do.
//          Whatever becomes of its task, a call is finished once.
// Errors   Listen: kUnavailable where the address is taken. Calls: status codes of gRPC.
// Threads  The event loop; gRPC's own threads touch only what a call brings.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>

#include "gateway/access.h"
#include "gateway/model_door.h"
#include "os/memory.h"

namespace samovar {

struct GrpcOptions {
  std::string version = "0.1.0";
  Bytes max_message = Bytes::MiB(64);
  std::size_t max_running = 10'000;  // or with an answer to be taken; more: RESOURCE_EXHAUSTED
  // Of messages that come, and again of those that have come and wait for room; what is more is
  // broken off with RESOURCE_EXHAUSTED.
  Bytes receiving = std::clamp(Bytes{HostMemory().count / 8}, Bytes::MiB(256), Bytes::GiB(1));
};

class GrpcDoor {
 public:
  GrpcDoor(Executor loop, BlockingPool& pool, const Clock& clock, ModelDoor& models,
           const KeyStore& keys, bool loopback, GrpcOptions options);
  ~GrpcDoor();  // REQUIRES: Stop() was awaited, or Listen() was not called

  // Starts to serve. The port that was bound.
  Result<std::uint16_t> Listen(const std::string& host, std::uint16_t port);
  // Refuses new calls, lets the running ones end until the deadline, breaks the rest off.
  Task<void> Stop(Deadline deadline);

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samovar
