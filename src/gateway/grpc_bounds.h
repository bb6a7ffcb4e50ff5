#pragma once
// What one client of gRPC may take at most, as far as gRPC itself sees to it. Private to
// grpc_door.cc.

#include <grpcpp/grpcpp.h>
#include <grpcpp/resource_quota.h>

#include <chrono>

#include "base/bytes.h"

namespace samovar {

// The largest message that may be received bounds a message only once it has come, whatever size it
// said at its beginning. So all that is received counts together: where it is too much, gRPC closes
// idle connections and then breaks calls off (RESOURCE_EXHAUSTED), of whichever connection.
inline void SetBounds(grpc::ServerBuilder& builder, Bytes receiving) {
  constexpr int kCalls = 1000;  // of a connection at a time; more wait for others to end
  // Whether a client with calls is still there.
  constexpr std::chrono::milliseconds kAsk{60'000};
  constexpr std::chrono::milliseconds kAnswer{20'000};
  grpc::ResourceQuota quota("messages");
  quota.Resize(receiving.count);
  builder.SetResourceQuota(quota);
  builder.AddChannelArgument(GRPC_ARG_MAX_CONCURRENT_STREAMS, kCalls);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(kAsk.count()));
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(kAnswer.count()));
}

}  // namespace samovar
