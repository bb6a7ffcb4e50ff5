#pragma once
// Server: the rooms of one running server, from the ground up: each line needs only those above it.
//
// How      Open makes them in order (server_open.cc); Run serves until it is signalled and stops
//          them from the door inwards (serve.cc).
// Threads  One event loop; blocking work on its pool.

#include <boost/asio/io_context.hpp>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <thread>

#include "base/blocking.h"
#include "base/clock.h"
#include "collections/collections.h"
#include "functions/endpoints.h"
#include "functions/registry.h"
#include "gateway/collection_doors.h"
#include "gateway/gateway.h"
#include "gateway/grpc_door.h"
#include "images/image_store.h"
#include "instances/async_invoker.h"
#include "instances/instance_service.h"
#include "instances/package_examiner.h"
#include "main/config.h"
#include "net/http_server.h"
#include "sandbox/launch_plan.h"
#include "sandbox/runtime_catalog.h"
#include "sandbox/supervisor.h"
#include "store/kv_store.h"
#include "store/package_store.h"

namespace samovar {

class Server {
 public:
  Server(const Config& config, const RuntimeCatalog& runtimes, std::string runtimes_dir,
         ServerSide side)
      : config_(config),
        runtimes_(runtimes),
        side_(std::move(side)),
        runtimes_dir_(std::move(runtimes_dir)) {}

  Result<void> Open(const ListenAddress& address);
  int Run();

 private:
  Result<void> OpenStores();
  Result<void> OpenCollections();
  std::string LiveCollections() const { return config_.data_dir + "/collections/live"; }
  Result<void> OpenRegistry(std::uint16_t port);
  Task<Result<std::uint64_t>> Pin(std::string collection);
  // Lets go of generations that no version has named for so long.
  void DropPins(std::chrono::nanoseconds grace);
  Task<void> DropPinsInTime();
  void OpenInstances();
  Result<void> OpenGateway(bool loopback);
  Result<void> OpenGrpc();
  Result<void> CheckReach(std::string_view key, const ListenAddress& address) const;
  Task<Result<Examination>> Examine(VersionPtr version);
  Task<Result<void>> WarmUp(std::string function, std::string qualifier);
  InstanceReport Instances() const;
  RuntimesReport Runtimes() const;
  std::string Metrics() const;
  Task<void> UntilSignalled();
  Task<void> Stop();

  Config config_;
  const RuntimeCatalog& runtimes_;
  ServerSide side_;
  std::string runtimes_dir_;
  LaunchOptions launch_;
  SystemClock clock_;
  asio::io_context loop_{1};
  BlockingPool pool_{std::max(4u, std::thread::hardware_concurrency())};
  std::unique_ptr<KvStore> store_;
  std::unique_ptr<PackageStore> packages_;
  std::unique_ptr<ImageStore> images_;
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Books> books_;
  std::unique_ptr<LogStore> logs_;
  Disk disk_;
  std::unique_ptr<Collections> collections_;
  std::unique_ptr<CollectionDoors> doors_;
  std::map<std::string, SteadyTime> unpinned_;  // generations that no version names, since when
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<SandboxHost> sandboxes_;
  std::unique_ptr<InstanceService> instances_;
  std::unique_ptr<PackageExaminer> examiner_;
  std::unique_ptr<AsyncInvoker> async_;
  std::unique_ptr<Endpoints> endpoints_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<GrpcDoor> grpc_;
  std::unique_ptr<HttpServer> http_;
  TaskGroup tasks_{loop_.get_executor()};
};

}  // namespace samovar
