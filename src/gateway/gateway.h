#pragma once
// Gateway: every API on the one port: which of them a request means, who sent it, and its answer.
//
// How      A function URL is told by its host or path, Samovar's own API and the inference protocol
//          by their paths, SageMaker by its target or path, Lambda by its paths; any other AWS
//          service, told by the signature's scope or X-Amz-Target, gets that protocol's own error.
//          Invoke is the hot path: it allocates for the event and little more, and waits for
//          nothing but an instance.
// Errors   Every failure is an answer in the API's own form with a request id; nothing is thrown.
// Threads  The event loop only. Stop() is awaited after HttpServer::Stop().

#include <chrono>
#include <functional>
#include <memory>
#include <string>

#include "base/blocking.h"
#include "base/bytes.h"
#include "base/clock.h"
#include "base/task.h"
#include "functions/registry.h"
#include "gateway/body_room.h"
#include "gateway/key_store.h"
#include "gateway/sources.h"
#include "instances/invocation.h"
#include "net/http.h"
#include "store/package_store.h"

namespace samovar {

class CollectionRights;
class Collections;
class Endpoints;
class ModelDoor;

struct GatewayOptions {
  std::string region = "us-east-1";
  std::string account_id = "000000000000";
  std::string version = "0.1.0";
  std::string isolation = "full";  // as /samovar/v1/health says it
  // Whether only this machine can reach the port. Without a key, loopback is open to all local
  // callers and any other address is closed to everybody.
  bool loopback = true;
  std::chrono::milliseconds queue_wait{60'000};  // for an instance
  Bytes max_event{6'291'456};
  Bytes max_async_event = Bytes::MiB(1);
  Bytes max_package = Bytes::GiB(10);
  Bytes max_inference = Bytes::MiB(64);  // of the inference protocol; other events: max_event
  // Events that are read or wait for an instance, together; large: of more than 16 MiB.
  BodyRooms::Options events{.ordinary = Bytes::MiB(128), .large = Bytes::MiB(256)};
  Bytes max_control_body = Bytes::MiB(8);  // of a control request, its package left out
};

// Puts an event on disk: AsyncInvoker::Enqueue.
using AsyncSink = std::function<Task<Result<void>>(Invocation)>;

struct GatewayParts {
  Registry& registry;
  Invoker& invoker;
  AsyncSink enqueue;
  KeyStore& keys;
  PackageStore& packages;
  Books& books;
  LogStore& logs;
  BlockingPool& pool;
  Executor loop;
  const Clock& clock;
  InstanceSource instances = {};
  RuntimeSource runtimes = {};
  ConfigSource config = {};
  MetricsSource metrics = {};
  Endpoints* endpoints = nullptr;      // null: SageMaker is not served
  Collections* collections = nullptr;  // null: there are none
  ImageStore* images = nullptr;        // null: there are none
  GatewayOptions options = {};
};

class Gateway {
 public:
  explicit Gateway(GatewayParts parts);
  ~Gateway();  // REQUIRES: Stop() was awaited, or the loop no longer runs

  Task<HttpResponse> Handle(HttpRequest request);
  // From inside a function: collections, as far as its rights go, and nothing else. `rights` lives
  // as long as the exchange.
  Task<HttpResponse> HandleInside(HttpRequest request, const CollectionRights& rights);
  HttpHandler Handler();  // Handle, bound; the gateway must outlive it
  ModelDoor& Models();    // for doors beside HTTP
  // Changes whenever a search in a collection begins or ends (BusyPoll).
  std::uint64_t SearchSigns() const;
  // Ends streamed invocations that still run and waits for them.
  Task<void> Stop();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samovar
