// SandboxHost and Sandbox of the server: numbers for the spawner, descriptors from it.
#include <fmt/format.h>
#include <signal.h>
#include <sys/statfs.h>
#include <unistd.h>

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/basic_waitable_timer.hpp>
#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <chrono>
#include <deque>
#include <map>
#include <optional>

#include "base/log.h"
#include "os/cgroup.h"
#include "os/packet_socket.h"
#include "sandbox/spawner_protocol.h"
#include "sandbox/supervisor.h"

namespace samovar {
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;
using Descriptor = asio::posix::basic_stream_descriptor<Executor>;

constexpr auto kMostCreate = std::chrono::seconds(40);  // the spawner's own bound is 30

// What host and handle both know of one sandbox; it outlives either.
struct Known {
  explicit Known(const Executor& loop) : changed(loop, Timer::time_point::max()) {}

  std::uint64_t number = 0;
  std::optional<Result<Packet>> answer;  // of the Create; its descriptors
  SpawnerReport created;
  std::optional<SandboxExit> exit;
  bool abandoned = false;  // nobody waits for the answer any more
  Timer changed;           // never fires; cancelled to wake
};
using KnownPtr = std::shared_ptr<Known>;

// The sockets, shared by the host and what it made.
class Link : public std::enable_shared_from_this<Link> {
 public:
  Link(Executor loop, ServerSide side) : loop_(std::move(loop)), isolation_(side.isolation) {
    handover_.emplace(loop_, side.spawners.Release());
  }

  void Start() { WaitForSpawner(); }
  void Stop() {
    handover_.reset();
    spawner_.reset();
  }

  const Executor& loop() const { return loop_; }
  const std::string& isolation() const { return isolation_; }
  bool Connected() const { return spawner_.has_value(); }

  // Sends a Create or a Clone, under a new number.
  KnownPtr Ask(SpawnerOrder order);
  void Order(SpawnerOrder::Kind kind, const Known& known);
  void DropBooted();

 private:
  void WaitForSpawner();
  void WaitForReports();
  void WaitForRoom();
  void TakeReports();
  void Hear(Packet packet);
  void Lost();
  void Send(std::string text);
  void Flush();

  Executor loop_;
  std::string isolation_;
  std::optional<Descriptor> handover_, spawner_;
  std::uint64_t next_number_ = 1;
  std::map<std::uint64_t, KnownPtr> known_;
  std::deque<std::string> outbox_;
  bool waiting_for_room_ = false;
};

void Link::WaitForSpawner() {
  handover_->async_wait(Descriptor::wait_read, [self = shared_from_this()](auto error) {
    if (error || !self->handover_) return;
    auto packet = ReceivePacket(self->handover_->native_handle());
    if (!packet) return;  // the supervisor is gone, and this process with it
    if (*packet && !(*packet)->fds.empty()) {
      if (self->spawner_) self->Lost();
      self->spawner_.emplace(self->loop_, (*packet)->fds.front().Release());
      self->WaitForReports();
      self->Flush();
    }
    self->WaitForSpawner();
  });
}

void Link::WaitForReports() {
  spawner_->async_wait(Descriptor::wait_read,
                       [self = shared_from_this(), fd = spawner_->native_handle()](auto error) {
                         if (error || !self->spawner_ || self->spawner_->native_handle() != fd) {
                           return;
                         }
                         self->TakeReports();
                         if (self->spawner_) self->WaitForReports();
                       });
}

void Link::TakeReports() {
  while (spawner_) {
    auto packet = ReceivePacket(spawner_->native_handle());
    if (!packet) return Lost();
    if (!*packet) return;
    Hear(std::move(**packet));
  }
}

void Link::Hear(Packet packet) {
  auto report = DecodeReport(packet.body);
  if (!report) return LogError("{}", report.error().message);
  auto at = known_.find(report->number);
  if (at == known_.end()) return;
  KnownPtr known = at->second;
  switch (report->kind) {
    case SpawnerReport::Kind::kCreated:
      if (known->abandoned) return Order(SpawnerOrder::Kind::kKill, *known);
      known->created = *report;
      known->answer = std::move(packet);
      break;
    case SpawnerReport::Kind::kFailed:
      known->answer = std::unexpected(report->error);
      known_.erase(at);
      break;
    case SpawnerReport::Kind::kExited:
      known->exit = report->exit;
      known_.erase(at);
      break;
  }
  known->changed.cancel();
}

// The spawner died and took its sandboxes along.
void Link::Lost() {
  LogError("the spawner is gone, and {} sandboxes with it", known_.size());
  spawner_.reset();
  outbox_.clear();
  auto lost = std::move(known_);
  known_.clear();
  for (auto& [number, known] : lost) {
    if (known->answer) {
      known->exit =
          SandboxExit{.code = 0, .signal = SIGKILL, .out_of_memory = false, .max_memory = {}};
    } else {
      known->answer = Fail(Code::kUnavailable, "the spawner died");
    }
    known->changed.cancel();
  }
}

KnownPtr Link::Ask(SpawnerOrder order) {
  auto known = std::make_shared<Known>(loop_);
  known->number = order.number = next_number_++;
  known_[known->number] = known;
  Send(EncodeOrder(order));
  return known;
}

void Link::Order(SpawnerOrder::Kind kind, const Known& known) {
  if (known.exit || !known_.contains(known.number)) return;
  Send(EncodeOrder({kind, known.number, {}}));
}

// A spawner that is not there has nothing booted.
void Link::DropBooted() {
  if (spawner_) Send(EncodeOrder({SpawnerOrder::Kind::kDropBooted, 0, {}}));
}

void Link::Send(std::string text) {
  outbox_.push_back(std::move(text));
  Flush();
}

// Without a spawner the orders wait for the next; Create() bounds how long.
void Link::Flush() {
  while (spawner_ && !outbox_.empty()) {
    auto sent = SendPacket(spawner_->native_handle(), outbox_.front());
    if (!sent && sent.error().code != Code::kUnavailable) {
      LogError("an order to the spawner: {}", sent.error().message);
      outbox_.pop_front();
      continue;
    }
    if (!sent) return;  // its end is read soon
    if (!*sent) return WaitForRoom();
    outbox_.pop_front();
  }
}

void Link::WaitForRoom() {
  if (waiting_for_room_) return;
  waiting_for_room_ = true;
  spawner_->async_wait(Descriptor::wait_write, [self = shared_from_this()](auto) {
    self->waiting_for_room_ = false;
    self->Flush();
  });
}

// Waits for what was asked for.
Task<Result<std::unique_ptr<Sandbox>>> Made(std::shared_ptr<Link> link, KnownPtr known,
                                            std::string id);

class RemoteSandbox final : public Sandbox {
 public:
  RemoteSandbox(std::shared_ptr<Link> link, KnownPtr known, std::string id)
      : link_(std::move(link)), known_(std::move(known)), id_(std::move(id)) {
    auto& fds = (*known_->answer)->fds;
    std::size_t at = 0;
    auto take = [&](bool there) { return there && at < fds.size() ? std::move(fds[at++]) : Fd(); };
    log_ = take(true);
    channel_ = take(known_->created.channel);
    runtime_api_ = take(known_->created.runtime_api);
    memory_ = take(known_->created.memory);
    tmp_ = take(known_->created.tmp);
  }
  ~RemoteSandbox() override { Kill(); }

  const std::string& Id() const override { return id_; }
  Fd TakeChannel() override { return std::move(channel_); }
  Fd TakeLog() override { return std::move(log_); }
  Fd TakeRuntimeApi() override { return std::move(runtime_api_); }
  Bytes MemoryInUse() override;
  Bytes BootedMemory() const override { return known_->created.booted; }
  void UseCpuLimit() override { link_->Order(SpawnerOrder::Kind::kUseCpuLimit, *known_); }
  void Freeze(bool frozen) override {
    link_->Order(frozen ? SpawnerOrder::Kind::kFreeze : SpawnerOrder::Kind::kThaw, *known_);
  }
  void Kill() override { link_->Order(SpawnerOrder::Kind::kKill, *known_); }
  Task<SandboxExit> WaitExit() override {
    KnownPtr known = known_;  // the handle may go while others wait
    return Wait(std::move(known));
  }
  Task<Result<std::unique_ptr<Sandbox>>> Clone(CloneSpec spec) override {
    if (known_->exit) return Ended();
    std::string id = spec.id;
    KnownPtr asked = link_->Ask(
        {.kind = SpawnerOrder::Kind::kClone, .clone = std::move(spec), .original = known_->number});
    return Made(link_, std::move(asked), std::move(id));
  }

 private:
  static Task<SandboxExit> Wait(KnownPtr known) {
    while (!known->exit) {
      co_await known->changed.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
    }
    co_return *known->exit;
  }
  static Task<Result<std::unique_ptr<Sandbox>>> Ended() {
    co_return Fail(Code::kUnavailable, "the template has ended");
  }

  std::shared_ptr<Link> link_;
  KnownPtr known_;
  std::string id_;
  Fd channel_, log_, runtime_api_, memory_, tmp_;
};

Bytes RemoteSandbox::MemoryInUse() {
  char text[4096];
  ssize_t got = memory_ ? ::pread(memory_.Get(), text, sizeof text - 1, 0) : -1;
  if (got <= 0) return {};
  text[got] = '\0';
  if (!tmp_) {  // statm: pages in all, resident, shared
    unsigned long total = 0, resident = 0, shared = 0;
    if (std::sscanf(text, "%lu %lu %lu", &total, &resident, &shared) != 3) return {};
    return {(resident - std::min(resident, shared)) * static_cast<std::uint64_t>(::getpagesize())};
  }
  CgroupMemory now = ParseMemoryStat(std::string(text, static_cast<std::size_t>(got)));
  struct statfs tmp{};
  ::fstatfs(tmp_.Get(), &tmp);
  Bytes in_tmp{(tmp.f_blocks - tmp.f_bfree) * static_cast<std::uint64_t>(tmp.f_bsize)};
  return now.anonymous + (now.shared - in_tmp);
}

Task<Result<std::unique_ptr<Sandbox>>> Made(std::shared_ptr<Link> link, KnownPtr known,
                                            std::string id) {
  // Where this coroutine is ended before its time, nobody is left to own the sandbox.
  struct Abandon {
    std::shared_ptr<Link> link;
    KnownPtr known;
    bool taken = false;
    ~Abandon() {
      if (taken) return;
      known->abandoned = true;
      if (known->answer && *known->answer) link->Order(SpawnerOrder::Kind::kKill, *known);
    }
  } abandon{link, known};
  Timer bound(link->loop(), kMostCreate);
  bound.async_wait([known](auto error) {
    if (error || known->answer) return;
    known->answer = Fail(Code::kUnavailable, "the spawner does not answer");
    known->abandoned = true;
    known->changed.cancel();
  });
  while (!known->answer) {
    co_await known->changed.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
  }
  if (!*known->answer) co_return std::unexpected(known->answer->error());
  abandon.taken = true;
  co_return std::make_unique<RemoteSandbox>(link, known, std::move(id));
}

class RemoteHost final : public SandboxHost {
 public:
  explicit RemoteHost(std::shared_ptr<Link> link) : link_(std::move(link)) {}
  ~RemoteHost() override { link_->Stop(); }

  Task<Result<std::unique_ptr<Sandbox>>> Create(SandboxSpec spec) override {
    std::string id = spec.id;
    KnownPtr known = link_->Ask({.kind = SpawnerOrder::Kind::kCreate, .spec = std::move(spec)});
    return Made(link_, std::move(known), std::move(id));
  }

  void DropBooted() override { link_->DropBooted(); }
  std::string_view Isolation() const override { return link_->isolation(); }

 private:
  std::shared_ptr<Link> link_;
};

}  // namespace

std::unique_ptr<SandboxHost> OpenSandboxHost(Executor loop, ServerSide&& side) {
  auto link = std::make_shared<Link>(std::move(loop), std::move(side));
  link->Start();
  return std::make_unique<RemoteHost>(std::move(link));
}

}  // namespace samovar
