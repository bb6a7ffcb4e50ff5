#pragma once
// GatewayCore: what the gateway's APIs share. Each API is a class over it, in a file of its own.

#include <optional>
#include <string>

#include "gateway/access.h"
#include "gateway/body_room.h"
#include "gateway/gateway.h"
#include "net/task_group.h"
#include "wire/lambda_model.h"

namespace samovar {

struct GatewayCore {
  explicit GatewayCore(GatewayParts all)
      : parts(std::move(all)),
        access(parts.keys, parts.clock, parts.options.loopback),
        streams(parts.loop),
        bodies(parts.loop, parts.pool, streams,
               {.ordinary = Bytes::MiB(64), .large = Bytes::MiB(192)}),
        events(parts.loop, parts.pool, streams, parts.options.events),
        started(parts.clock.Now()) {}

  GatewayParts parts;
  Access access;
  LambdaModel model;
  TaskGroup streams;  // invocations whose answers are streamed
  BodyRooms bodies;   // of batches and searches
  BodyRooms events;   // of calls, until their instance has them
  SteadyTime started;
  std::uint64_t searches = 0;  // that began, and that ended
};

using PendingSignature = std::optional<SigV4Verification>;

}  // namespace samovar
