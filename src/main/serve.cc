#include "main/serve.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>
#include <memory>
#include <string>
#include <thread>

#include "base/blocking.h"
#include "base/ids.h"
#include "base/log.h"
#include "collections/collections.h"
#include "functions/endpoints.h"
#include "functions/registry.h"
#include "gateway/gateway.h"
#include "gateway/grpc_door.h"
#include "gateway/model_door.h"
#include "instances/async_invoker.h"
#include "instances/instance_service.h"
#include "instances/package_examiner.h"
#include "main/collection_mounts.h"
#include "net/http_server.h"
#include "os/memory.h"
#include "sandbox/launch_plan.h"
#include "sandbox/runtime_catalog.h"
#include "sandbox/supervisor.h"
#include "store/kv_store.h"
#include "store/package_store.h"

namespace samovar {
namespace {

// The rooms of one running server, from the ground up: each line needs only those above it.
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
  std::unique_ptr<KeyStore> keys_;
  std::unique_ptr<Books> books_;
  std::unique_ptr<LogStore> logs_;
  Disk disk_;
  std::unique_ptr<Collections> collections_;
  std::unique_ptr<Registry> registry_;
  std::unique_ptr<SandboxHost> sandboxes_;
  std::unique_ptr<InstanceService> instances_;
  std::unique_ptr<PackageExaminer> examiner_;
  std::unique_ptr<AsyncInvoker> async_;
  std::unique_ptr<Endpoints> endpoints_;
  std::unique_ptr<Gateway> gateway_;
  std::unique_ptr<GrpcDoor> grpc_;
  std::unique_ptr<HttpServer> http_;
};

Result<void> Server::OpenStores() {
  const std::string state = config_.data_dir + "/state";
  TRY(store_, OpenRocksStore(state));
  // It holds the secrets of access keys.
  std::error_code error;
  std::filesystem::permissions(state, std::filesystem::perms::owner_all, error);
  if (error) return Fail(Code::kDenied, state + ": " + error.message());
  PackageOptions bounds;
  bounds.max_zip = config_.limits.max_package;
  bounds.max_unpacked = config_.limits.max_unpacked;
  TRY(packages_, OpenPackageStore(config_.data_dir + "/packages", bounds));
  TRY(keys_, KeyStore::Open(*store_, pool_, clock_));
  TRY(books_, Books::Open(*store_, clock_));
  LogOptions logs;
  logs.directory = config_.data_dir + "/logs";
  logs.max_size_per_function = config_.logs.max_size_per_function;
  logs_ = std::make_unique<LogStore>(loop_.get_executor(), pool_, logs);
  return OpenCollections();
}

Result<void> Server::OpenCollections() {
  CollectionsOptions options;
  options.directory = config_.data_dir + "/collections/kept";
  options.live = LiveCollections();
  TRY(collections_, Collections::Open(options, clock_, disk_));
  return {};
}

Result<void> Server::OpenRegistry(std::uint16_t port) {
  RegistryOptions options;
  options.region = config_.region;
  options.account_id = config_.account_id;
  options.url_suffix = config_.UrlSuffix(port);
  options.endpoint = "http://" + config_.listen;
  options.max_package = config_.limits.max_package;
  options.max_unpacked = config_.limits.max_unpacked;
  options.account_concurrency = config_.limits.account_concurrency;
  options.missing_runtime = [this](std::string_view name) -> std::optional<std::string> {
    auto found = runtimes_.Find(name);
    if (found) return std::nullopt;
    return found.error().message;
  };
  options.prepare = [this](VersionPtr version) { return instances_->Prepare(std::move(version)); };
  options.before_turn = [this](VersionPtr from, VersionPtr to) {
    return instances_->TakeOver(std::move(from), std::move(to));
  };
  options.examine = [this](VersionPtr version) { return Examine(std::move(version)); };
  options.provisioned_status = [this](const std::string& key) { return instances_->Status(key); };
  TRY(registry_,
      samovar::OpenRegistry(options, *store_, *packages_, pool_, loop_.get_executor(), clock_));
  return {};
}

void Server::OpenInstances() {
  sandboxes_ = OpenSandboxHost(loop_.get_executor(), std::move(side_));
  launch_.region = config_.region;
  launch_.runtimes_dir = runtimes_dir_;
  launch_.egress_by_default = config_.network.default_network == Config::DefaultNetwork::kEgress;
  InstanceOptions options;
  options.account_concurrency = config_.limits.account_concurrency;
  options.reserved_total = [this] { return registry_->ReservedTotal(); };
  options.memory_budget = config_.limits.memory_budget.Of(HostMemory());
  options.queue_per_function = static_cast<std::size_t>(config_.limits.queue_per_function);
  options.queue_total = static_cast<std::size_t>(config_.limits.queue_total);
  if (config_.keep_alive.policy == Config::KeepAlivePolicy::kFixed) {
    options.keep_alive.fixed = config_.keep_alive.fixed;
  }
  options.keep_alive.standard = std::max(
      std::chrono::minutes(1), std::chrono::ceil<std::chrono::minutes>(config_.keep_alive.fixed));
  options.max_spares = static_cast<std::size_t>(config_.clones.max_spares);
  launch_.clones = config_.clones.enabled && sandboxes_->Isolation() == "full";
  auto plan = [this](const Version& version, const std::string& id) -> Result<SandboxSpec> {
    TRY(const Runtime runtime, runtimes_.Find(version.runtime));
    TRY(auto spec, PlanLaunch(version, runtime, id, clock_.Wall(), launch_));
    TRY(MountCollections(spec, version, LiveCollections(), config_.collections.all));
    return spec;
  };
  instances_ = std::make_unique<InstanceService>(loop_.get_executor(), clock_, options, *sandboxes_,
                                                 plan, *logs_, *books_);
  if (sandboxes_->Isolation() == "full") {  // elsewhere the host itself is what a function sees
    auto plan_check = [this](const Version& version, const std::string& id) -> Result<SandboxSpec> {
      TRY(const Runtime runtime, runtimes_.Find(version.runtime));
      return PlanCheck(version, runtime, id, launch_);
    };
    examiner_ = std::make_unique<PackageExaminer>(clock_, *sandboxes_, plan_check, *logs_);
  }
  AsyncOptions async;
  async.retry_backoff = config_.async.retry_backoff;
  async.max_events = static_cast<std::size_t>(config_.async.max_queue);
  async_ = std::make_unique<AsyncInvoker>(loop_.get_executor(), pool_, *store_, clock_, async,
                                          *instances_, *registry_);
  registry_->OnRetired([this](const std::string& key) {
    instances_->Retire(key);
    async_->DropIfDeleted(key);
  });
  registry_->OnProvisionedChanged([this] { instances_->SetTargets(registry_->Provisioned()); });
}

Task<Result<Examination>> Server::Examine(VersionPtr version) {
  if (!examiner_) co_return Examination{};
  co_return co_await examiner_->Examine(std::move(version));
}

// Before an endpoint turns to it.
Task<Result<void>> Server::WarmUp(std::string function, std::string qualifier) {
  ModelRequest request{.model = std::move(function),
                       .version = std::move(qualifier),
                       .request_id = NewUuid(),
                       .trace_id = "",
                       .deadline = Deadline::After(clock_, config_.limits.queue_wait)};
  co_return co_await gateway_->Models().WarmUp(std::move(request));
}

Result<void> Server::OpenGateway(bool loopback) {
  EndpointOptions endpoints;
  endpoints.region = config_.region;
  endpoints.account_id = config_.account_id;
  endpoints.warm = [this](std::string function, std::string qualifier) {
    return WarmUp(std::move(function), std::move(qualifier));
  };
  endpoints_ = std::make_unique<Endpoints>(endpoints, *registry_, *store_, pool_,
                                           loop_.get_executor(), clock_);
  GatewayOptions options;
  options.region = config_.region;
  options.account_id = config_.account_id;
  options.isolation = std::string(sandboxes_->Isolation());
  options.loopback = loopback;
  options.queue_wait = config_.limits.queue_wait;
  options.max_package = config_.limits.max_package;
  gateway_ = std::make_unique<Gateway>(GatewayParts{
      .registry = *registry_,
      .invoker = *instances_,
      .enqueue = [this](Invocation event) { return async_->Enqueue(std::move(event)); },
      .keys = *keys_,
      .packages = *packages_,
      .books = *books_,
      .logs = *logs_,
      .pool = pool_,
      .loop = loop_.get_executor(),
      .clock = clock_,
      .instances = [this] { return Instances(); },
      .runtimes = [this] { return Runtimes(); },
      .config = [this] { return ConfigJson(config_); },
      .metrics = [this] { return Metrics(); },
      .endpoints = endpoints_.get(),
      .collections = collections_.get(),
      .options = options});
  return endpoints_->Load();
}

Result<void> Server::CheckReach(std::string_view key, const ListenAddress& address) const {
  if (address.Loopback() || !keys_->Empty()) return {};
  return Fail(Code::kInvalid,
              std::string(key) + ": " + address.host +
                  " can be reached from other machines, and no access key exists: make one first "
                  "with `samovar keys create --data-dir " +
                  config_.data_dir + "`, or listen on 127.0.0.1");
}

// A default that another server has is no reason not to start; an address that was asked for is.
Result<void> Server::OpenGrpc() {
  if (config_.grpc_listen == "off") return {};
  const bool chosen = config_.grpc_listen != "auto";
  TRY(const auto address, ParseListen(chosen ? config_.grpc_listen : "127.0.0.1:4567"));
  TRY(CheckReach("grpc_listen", address));
  grpc_ = std::make_unique<GrpcDoor>(loop_.get_executor(), pool_, clock_, gateway_->Models(),
                                     *keys_, address.Loopback(), GrpcOptions{});
  auto port = grpc_->Listen(address.host, address.port);
  if (!port && chosen) {
    return Fail(port.error().code, "grpc_listen: " + port.error().message);
  }
  if (!port) {
    LogWarn("no gRPC: {} (choose another with grpc_listen)", port.error().message);
    grpc_.reset();
    config_.grpc_listen = "off";
    return {};
  }
  config_.grpc_listen = address.host + ":" + std::to_string(*port);
  return {};
}

Result<void> Server::Open(const ListenAddress& address) {
  TRY(OpenStores());
  TRY(CheckReach("listen", address));
  http_ = std::make_unique<HttpServer>(
      loop_.get_executor(), clock_, HttpServerOptions{},
      [this](HttpRequest request) { return gateway_->Handle(std::move(request)); });
  TRY(const std::uint16_t port, http_->Listen(address.host, address.port));
  config_.listen = address.host + ":" + std::to_string(port);
  TRY(OpenRegistry(port));
  OpenInstances();
  TRY(async_->Load());
  TRY(OpenGateway(address.Loopback()));
  return OpenGrpc();
}

InstanceReport Server::Instances() const {
  return {.memory_budget = instances_->MemoryBudget(),
          .memory_used = instances_->MemoryInUse(),
          .queued = instances_->Queued(),
          .instances = instances_->Instances(),
          .templates = instances_->Templates()};
}

RuntimesReport Server::Runtimes() const {
  RuntimesReport report;
  for (const Runtime& runtime : runtimes_.All()) {
    report.runtimes.push_back({runtime.name, runtime.version, runtime.interpreter});
  }
  for (const auto& unusable : runtimes_.Unusable()) {
    report.unusable.push_back({unusable.path, unusable.reason});
  }
  return report;
}

std::string Server::Metrics() const {
  return books_->MetricsText() + instances_->MetricsText() + async_->MetricsText();
}

Task<void> Server::UntilSignalled() {
  asio::signal_set signals(loop_, SIGTERM, SIGINT);
  co_await signals.async_wait(asio::use_awaitable_t<Executor>());
  LogInfo("stopping: running invocations have {} to finish", ShowDuration(config_.drain_timeout));
}

// From the door inwards, so that what still runs can finish: no new calls, then the running ones,
// then the rooms that they used.
Task<void> Server::Stop() {
  const Deadline deadline = Deadline::After(clock_, config_.drain_timeout);
  co_await http_->Stop(deadline);
  if (grpc_) co_await grpc_->Stop(deadline);
  co_await async_->Stop(deadline);
  co_await instances_->Drain(deadline);
  co_await gateway_->Stop();
  co_await logs_->Stop();
  if (auto flushed = co_await books_->Flush(pool_); !flushed) {
    LogError("books: {}", flushed.error().message);
  }
}

int Server::Run() {
  logs_->Start();
  instances_->Start();
  instances_->SetTargets(registry_->Provisioned());
  async_->Start();
  asio::co_spawn(
      loop_,
      [this]() -> asio::awaitable<void> {
        co_await asio::co_spawn(loop_, UntilSignalled(), asio::use_awaitable);
        co_await asio::co_spawn(loop_, Stop(), asio::use_awaitable);
        loop_.stop();
      },
      asio::detached);
  LogInfo("listening on http://{} (data in {}, isolation {}, {} runtimes)", config_.listen,
          config_.data_dir, sandboxes_->Isolation(), runtimes_.All().size());
  if (grpc_) LogInfo("listening on {} for gRPC", config_.grpc_listen);
  loop_.run();
  pool_.join();
  return 0;
}

// Where runtimes/ lies: beside an installed program, else in the source tree it was built in.
Result<std::string> FindRuntimes() {
  namespace fs = std::filesystem;
  std::error_code error;
  const fs::path program = fs::read_symlink("/proc/self/exe", error);
  const fs::path here = program.parent_path();
  for (const fs::path& folder :
       {here / "../share/samovar/runtimes", here / "runtimes", here / "../../runtimes"}) {
    if (fs::exists(folder / "python/samovar_runtime.py", error)) {
      return fs::weakly_canonical(folder, error).string();
    }
  }
  return Fail(Code::kNotFound, "no runtimes/ beside " + program.string() +
                                   ": install it to ../share/samovar/runtimes");
}

int Serve(const Config& config, const RuntimeCatalog& runtimes, const std::string& runtimes_dir,
          ServerSide side) {
  auto address = ParseListen(config.listen);
  if (!address) {
    LogError("{}", address.error().message);
    return 2;
  }
  Server server(config, runtimes, runtimes_dir, std::move(side));
  if (auto opened = server.Open(*address); !opened) {
    LogError("cannot start: {}", opened.error().message);
    return opened.error().code == Code::kInvalid ? 2 : 6;
  }
  return server.Run();
}

}  // namespace

int RunServe(const ServeOptions& options) {
  const Config& config = options.config;
  // Before the server gives its privileges up: interpreters may lie where only root can look.
  RuntimeSearch search;
  search.python_paths = config.runtimes.python_paths;
  search.node_paths = config.runtimes.node_paths;
  auto runtimes_dir = FindRuntimes();
  if (!runtimes_dir) {
    LogError("cannot start: {}", runtimes_dir.error().message);
    return 6;
  }
  search.runtimes_dir = *runtimes_dir;
  const RuntimeCatalog runtimes = RuntimeCatalog::Discover(search);
  auto user = ResolveUser(config.user);
  if (!user) {
    LogError("{}", user.error().message);
    return 2;
  }
  SupervisorOptions supervisor;
  supervisor.data_dir = config.data_dir;
  supervisor.uid = user->uid;
  supervisor.gid = user->gid;
  supervisor.isolation = config.isolation == Config::Isolation::kProcess ? "process" : "full";
  return RunSupervised(supervisor, [&](ServerSide side) {
    return Serve(config, runtimes, *runtimes_dir, std::move(side));
  });
}

}  // namespace samovar
