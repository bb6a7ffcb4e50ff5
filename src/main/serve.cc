#include "main/serve.h"

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/signal_set.hpp>
#include <csignal>
#include <filesystem>
#include <string>

#include "base/log.h"
#include "gateway/collection_metrics.h"
#include "main/server.h"
#include "net/busy_poll.h"
#include "os/descriptors.h"
#include "os/priority.h"

namespace samovar {

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
  return books_->MetricsText() + instances_->MetricsText() + async_->MetricsText() +
         CollectionMetrics(collections_->Times());
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
  co_await tasks_.Stop();
  if (grpc_) co_await grpc_->Stop(deadline);
  co_await async_->Stop(deadline);
  co_await instances_->Drain(deadline);
  co_await doors_->Stop();
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
  tasks_.Spawn(DropPinsInTime());
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
  RunPromptly();
  if (config_.busy_poll && std::thread::hardware_concurrency() > 1) {
    BusyPoll(loop_, [this] { return instances_->CallSigns() + gateway_->SearchSigns(); }).Run();
  } else {
    loop_.run();
  }
  pool_.join();
  return 0;
}

namespace {

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
  AllowManyDescriptors();
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
