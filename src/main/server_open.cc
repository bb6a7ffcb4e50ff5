#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <filesystem>

#include "base/ids.h"
#include "base/log.h"
#include "gateway/model_door.h"
#include "main/collection_mounts.h"
#include "main/server.h"
#include "os/memory.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

}  // namespace

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
  bounds.share = side_.isolation == "full";
  TRY(packages_, OpenPackageStore(config_.data_dir + "/packages", bounds));
  TRY(images_, OpenImageStore(config_.data_dir + "/images",
                              {.unpacker = runtimes_dir_ + "/images/samovar-layer",
                               .max_unpacked = config_.limits.max_unpacked}));
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
  auto handler = [this](HttpRequest request, const CollectionRights& rights) {
    return gateway_->HandleInside(std::move(request), rights);
  };
  TRY(doors_, CollectionDoors::Open(loop_.get_executor(), clock_,
                                    config_.data_dir + "/collections/doors", handler));
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
  options.images = images_.get();
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
  options.pin = [this](std::string collection) { return Pin(std::move(collection)); };
  options.provisioned_status = [this](const std::string& key) { return instances_->Status(key); };
  TRY(registry_,
      samovar::OpenRegistry(options, *store_, *packages_, pool_, loop_.get_executor(), clock_));
  DropPins(std::chrono::seconds(0));
  return {};
}

Task<Result<std::uint64_t>> Server::Pin(std::string collection) {
  auto pin = [this, collection] { return collections_->Pin(collection); };
  auto generation = co_await RunBlocking(pool_, std::move(pin));
  if (generation) unpinned_[PinName(collection, *generation)] = clock_.Now();  // until it is named
  co_return generation;
}

Task<void> Server::DropPinsInTime() {
  // A call that runs may still read what its version named, and a version that is being published
  // names it soon.
  const std::chrono::nanoseconds grace = config_.collections.keep_unnamed;
  Timer timer(loop_.get_executor());
  while (true) {
    timer.expires_after(std::clamp<std::chrono::nanoseconds>(
        grace / 4, std::chrono::milliseconds(50), std::chrono::minutes(1)));
    co_await timer.async_wait(kTuple);
    DropPins(grace);
  }
}

void Server::DropPins(std::chrono::nanoseconds grace) {
  const auto used = registry_->Pins();
  const SteadyTime now = clock_.Now();
  for (const auto& info : collections_->List()) {
    if (!IsPinName(info.name)) continue;
    if (used.contains(info.name)) {
      unpinned_.erase(info.name);
      continue;
    }
    const SteadyTime since = unpinned_.emplace(info.name, now).first->second;
    if (now - since < grace) continue;
    unpinned_.erase(info.name);
    asio::post(pool_, [this, name = info.name] {
      if (auto gone = collections_->Unpin(name); !gone)
        LogWarn("{}: {}", name, gone.error().message);
    });
  }
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
  options.busy_poll = config_.busy_poll;
  options.max_spares = static_cast<std::size_t>(config_.clones.max_spares);
  launch_.clones = config_.clones.enabled && sandboxes_->Isolation() == "full";
  auto plan = [this](const Version& version, const std::string& id) -> Result<SandboxSpec> {
    TRY(const Runtime runtime, runtimes_.Find(version.runtime));
    TRY(auto spec, PlanLaunch(version, runtime, id, clock_.Wall(), launch_));
    TRY(MountCollections(spec, version, LiveCollections(), config_.collections.all, *doors_));
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
      .images = images_.get(),
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

}  // namespace samovar
