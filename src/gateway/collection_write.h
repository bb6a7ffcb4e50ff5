#pragma once
// WriteBatch: a batch of a collection, from the event loop.
// Errors   As Collections::Submit.
// Threads  The event loop only.

#include <string>

#include "collections/collections.h"
#include "gateway/gateway_core.h"

namespace samovar {

// Waits until the batch is on disk and visible, without holding a thread.
Task<Result<Ack>> WriteBatch(GatewayCore& core, Collections& collections, std::string name,
                             Batch batch);

}  // namespace samovar
