#include "sandbox/spawner.h"

#include <fmt/format.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <deque>
#include <list>
#include <map>

#include "base/log.h"
#include "os/packet_socket.h"
#include "sandbox/spawner_protocol.h"

namespace samovar {
namespace {

using std::chrono::steady_clock;

constexpr auto kRemoveAgain = std::chrono::milliseconds(20);
constexpr auto kRefillPause = std::chrono::milliseconds(30);  // after the last Create
constexpr auto kLeastTick = std::chrono::milliseconds(5);
constexpr auto kMostGoodbye = std::chrono::seconds(5);  // for the last sandboxes to die

enum class Source : unsigned { kServer, kSignal, kTick, kSetup, kHelper, kEnd, kProgram, kBell };

class Spawner {
 public:
  Spawner(std::unique_ptr<CellMaker> maker, Fd server)
      : maker_(std::move(maker)), server_(std::move(server)) {}
  int Run();

 private:
  struct Box {
    std::unique_ptr<Cell> cell;
    enum class State { kStarting, kRunning, kFailed } state = State::kStarting;
    bool ending = false;                // rang once: ask whether it is over until it is
    bool late = false;                  // its set-up took too long
    steady_clock::time_point deadline;  // of the set-up
    steady_clock::time_point look;      // when to look at its memory again, or at its set-up
  };
  using Boxes = std::map<std::uint64_t, Box>;

  bool Open();
  void Watch(int fd, Source source, std::uint64_t number, std::uint32_t events = EPOLLIN);
  void Handle(const epoll_event& event);
  void TakeOrders();
  void Obey(SpawnerOrder order);
  void Make(SpawnerOrder order);
  Result<std::unique_ptr<Cell>> MakeCell(SpawnerOrder order);
  void Hear(std::uint64_t number, Box& box);
  void Started(std::uint64_t number, Box& box);
  void WatchEnds(std::uint64_t number, const Cell& cell);
  void Unwatch(int fd);
  // What follows where it has ended; else it is asked again soon. Answers what comes after it.
  Boxes::iterator Settle(Boxes::iterator at);
  Boxes::iterator Ended(Boxes::iterator at);
  void CheckMemory(Box& box);
  void Tick();
  void ArmTick();
  void Report(SpawnerReport report, std::vector<Fd> fds = {});
  void Flush();
  void SayGoodbye();

  std::unique_ptr<CellMaker> maker_;
  Fd server_, epoll_, signals_, timer_;
  Boxes boxes_;
  std::list<std::unique_ptr<Cell>> removing_;
  std::deque<std::pair<std::string, std::vector<Fd>>> outbox_;
  steady_clock::time_point refill_ = steady_clock::now();  // when to make spares
  steady_clock::time_point armed_ = steady_clock::time_point::max();
  bool stop_ = false;
};

bool Spawner::Open() {
  rlimit files{};
  ::getrlimit(RLIMIT_NOFILE, &files);
  files.rlim_cur = files.rlim_max;
  ::setrlimit(RLIMIT_NOFILE, &files);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  ::sigprocmask(SIG_SETMASK, &set, nullptr);
  epoll_ = Fd(::epoll_create1(EPOLL_CLOEXEC));
  signals_ = Fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  timer_ = Fd(::timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK));
  if (!epoll_ || !signals_ || !timer_) return false;
  Watch(server_.Get(), Source::kServer, 0);
  Watch(signals_.Get(), Source::kSignal, 0);
  Watch(timer_.Get(), Source::kTick, 0);
  return true;
}

void Spawner::Watch(int fd, Source source, std::uint64_t number, std::uint32_t events) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = number << 3 | static_cast<std::uint64_t>(source);
  if (::epoll_ctl(epoll_.Get(), EPOLL_CTL_ADD, fd, &event) != 0) {
    ::epoll_ctl(epoll_.Get(), EPOLL_CTL_MOD, fd, &event);
  }
}

int Spawner::Run() {
  if (!Open()) {
    LogError("spawner: {}", ErrnoError("start").message);
    return 1;
  }
  ArmTick();
  while (!stop_) {
    epoll_event events[64];
    int count = ::epoll_wait(epoll_.Get(), events, 64, -1);
    for (int i = 0; i < count && !stop_; ++i) Handle(events[i]);
    ArmTick();
  }
  SayGoodbye();
  return 0;
}

void Spawner::Handle(const epoll_event& event) {
  auto source = static_cast<Source>(event.data.u64 & 7);
  if (source == Source::kSignal) {
    stop_ = true;
    return;
  }
  if (source == Source::kTick) {
    std::uint64_t times;
    (void)!::read(timer_.Get(), &times, sizeof times);
    return Tick();
  }
  if (source == Source::kServer) {
    if (event.events & EPOLLOUT) Flush();
    if (event.events & (EPOLLIN | EPOLLHUP)) TakeOrders();
    return;
  }
  auto at = boxes_.find(event.data.u64 >> 3);
  if (at == boxes_.end()) return;  // an event that was overtaken by the end
  Box& box = at->second;
  if (source == Source::kBell) return CheckMemory(box);
  if (source == Source::kSetup || source == Source::kHelper) {
    Hear(at->first, box);
    box.ending = box.ending || box.state == Box::State::kFailed;
  }
  if (source == Source::kEnd || source == Source::kProgram) {
    box.ending = true;
    Unwatch(source == Source::kEnd ? box.cell->pidfd() : box.cell->program());
  }
  if (box.ending) Settle(at);
}

void Spawner::TakeOrders() {
  for (;;) {
    auto packet = ReceivePacket(server_.Get());
    if (!packet) {
      stop_ = true;
      return;
    }
    if (!*packet) return;
    auto order = DecodeOrder((*packet)->body);
    if (!order) LogError("spawner: {}", order.error().message);
    if (order) Obey(std::move(*order));
  }
}

void Spawner::Obey(SpawnerOrder order) {
  if (order.kind == SpawnerOrder::Kind::kCreate || order.kind == SpawnerOrder::Kind::kClone) {
    return Make(std::move(order));
  }
  if (order.kind == SpawnerOrder::Kind::kDropBooted) {
    refill_ = std::min(refill_, steady_clock::now() + kRefillPause);  // tidies up
    return maker_->DropBooted();
  }
  auto at = boxes_.find(order.number);
  if (at == boxes_.end()) return;  // it ended just now
  Cell& cell = *at->second.cell;
  Result<void> done;
  switch (order.kind) {
    case SpawnerOrder::Kind::kKill:
      cell.Kill();
      break;
    case SpawnerOrder::Kind::kFreeze:
    case SpawnerOrder::Kind::kThaw:
      done = cell.Freeze(order.kind == SpawnerOrder::Kind::kFreeze);
      break;
    case SpawnerOrder::Kind::kUseCpuLimit:
      done = cell.UseCpuLimit();
      break;
    default:
      break;
  }
  if (!done) LogError("sandbox {}: {}", cell.spec().id, done.error().message);
  CheckMemory(at->second);  // the thawed are due for a look
}

Result<std::unique_ptr<Cell>> Spawner::MakeCell(SpawnerOrder order) {
  if (boxes_.contains(order.number)) {
    return Fail(Code::kInvalid, "a sandbox number was used twice");
  }
  if (order.kind == SpawnerOrder::Kind::kCreate) {
    TRY(CheckSpec(order.spec));
    return maker_->Make(std::move(order.spec));
  }
  TRY(CheckSpec(order.clone));
  auto original = boxes_.find(order.original);
  if (original == boxes_.end() || original->second.state != Box::State::kRunning ||
      original->second.ending) {
    return Fail(Code::kUnavailable, "the template has ended");
  }
  return maker_->Clone(*original->second.cell, std::move(order.clone));
}

void Spawner::Make(SpawnerOrder order) {
  std::uint64_t number = order.number;
  auto made = MakeCell(std::move(order));
  refill_ = steady_clock::now() + kRefillPause;
  if (!made) {
    Report({.kind = SpawnerReport::Kind::kFailed, .number = number, .error = made.error()});
    return;
  }
  Box& box = boxes_[number];
  box.cell = std::move(*made);
  box.look = box.deadline = steady_clock::now() + box.cell->Patience();
  Watch(box.cell->setup(), Source::kSetup, number);
  if (box.cell->helper() >= 0) Watch(box.cell->helper(), Source::kHelper, number);
  WatchEnds(number, *box.cell);
  if (box.cell->bell() >= 0) Watch(box.cell->bell(), Source::kBell, number);
}

void Spawner::WatchEnds(std::uint64_t number, const Cell& cell) {
  if (cell.pidfd() >= 0) Watch(cell.pidfd(), Source::kEnd, number);
  if (cell.program() >= 0) Watch(cell.program(), Source::kProgram, number);
}

void Spawner::Unwatch(int fd) {
  if (fd >= 0) ::epoll_ctl(epoll_.Get(), EPOLL_CTL_DEL, fd, nullptr);
}

void Spawner::Hear(std::uint64_t number, Box& box) {
  if (box.state == Box::State::kFailed) return;  // what comes now would hide why
  Cell::Heard heard = box.cell->Hear();
  if (heard.setup_ended) Unwatch(box.cell->setup());
  if (heard.helper_ended) Unwatch(box.cell->helper());
  if (box.state != Box::State::kStarting) return;
  switch (heard.step) {
    case Cell::Step::kWaiting:
      break;
    case Cell::Step::kAdopted:
      WatchEnds(number, *box.cell);
      break;
    case Cell::Step::kStarted:
      WatchEnds(number, *box.cell);
      Started(number, box);
      break;
    case Cell::Step::kFailed:
      WatchEnds(number, *box.cell);
      Unwatch(box.cell->setup());
      Unwatch(box.cell->helper());
      box.state = Box::State::kFailed;
      box.cell->Kill();
      break;
  }
}

void Spawner::Started(std::uint64_t number, Box& box) {
  box.state = Box::State::kRunning;
  SpawnerReport report{.kind = SpawnerReport::Kind::kCreated, .number = number};
  auto fds = box.cell->Handover(report);
  Report(report, std::move(fds));
  CheckMemory(box);
}

void Spawner::CheckMemory(Box& box) { box.look = steady_clock::now() + box.cell->CheckMemory(); }

Spawner::Boxes::iterator Spawner::Settle(Boxes::iterator at) {
  if (at->second.cell->Over()) return Ended(at);
  at->second.look = std::min(at->second.look, steady_clock::now() + kLeastTick);
  return std::next(at);
}

Spawner::Boxes::iterator Spawner::Ended(Boxes::iterator at) {
  Box& box = at->second;
  if (box.state == Box::State::kStarting) Hear(at->first, box);
  SpawnerReport report{.kind = SpawnerReport::Kind::kExited, .number = at->first};
  report.exit = box.cell->Reap();
  if (box.state != Box::State::kRunning) {
    report.kind = SpawnerReport::Kind::kFailed;
    report.error =
        box.late ? Error{Code::kTimeout, "the sandbox's set-up took too long"} : box.cell->error();
  }
  std::unique_ptr<Cell> cell = std::move(box.cell);
  auto next = boxes_.erase(at);
  // By hand: a sandbox just cloned may still hold copies, for which epoll would keep ringing.
  for (int fd : {cell->pidfd(), cell->program(), cell->setup(), cell->helper(), cell->bell()}) {
    Unwatch(fd);
  }
  if (!cell->Remove()) removing_.push_back(std::move(cell));
  Report(report);
  return next;
}

void Spawner::Tick() {
  armed_ = steady_clock::time_point::max();
  auto now = steady_clock::now();
  for (auto at = boxes_.begin(); at != boxes_.end();) {
    Box& box = at->second;
    if (now >= box.look) {
      CheckMemory(box);
      if (box.state == Box::State::kStarting && now >= box.deadline) {
        box.state = Box::State::kFailed;
        box.late = box.ending = true;
        box.cell->Kill();
      }
      if (box.ending) {
        at = Settle(at);
        continue;
      }
    }
    ++at;
  }
  std::erase_if(removing_, [](auto& cell) { return cell->Remove(); });
  // One at a time, so that orders are heard in between.
  if (now >= refill_ && !maker_->Refill()) refill_ = steady_clock::time_point::max();
}

void Spawner::ArmTick() {
  auto now = steady_clock::now();
  bool removing = std::any_of(removing_.begin(), removing_.end(),
                              [](const auto& cell) { return !cell->Lingers(); });
  auto due = removing ? now + kRemoveAgain : steady_clock::time_point::max();
  due = std::min(due, refill_);
  for (const auto& [number, box] : boxes_) due = std::min(due, box.look);
  if (due == steady_clock::time_point::max()) return;
  due = std::max(due, now + kLeastTick);
  if (due >= armed_) return;
  armed_ = due;
  auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(due - now).count();
  itimerspec when{};
  when.it_value.tv_sec = left / 1'000'000'000;
  when.it_value.tv_nsec = left % 1'000'000'000;
  ::timerfd_settime(timer_.Get(), 0, &when, nullptr);
}

void Spawner::Report(SpawnerReport report, std::vector<Fd> fds) {
  outbox_.emplace_back(EncodeReport(report), std::move(fds));
  Flush();
}

void Spawner::Flush() {
  while (!outbox_.empty()) {
    std::vector<int> numbers;
    for (const auto& fd : outbox_.front().second) numbers.push_back(fd.Get());
    auto sent = SendPacket(server_.Get(), outbox_.front().first, numbers);
    if (!sent) {
      stop_ = true;
      return;
    }
    if (!*sent) {
      return Watch(server_.Get(), Source::kServer, 0, EPOLLIN | EPOLLOUT);
    }
    outbox_.pop_front();
  }
  Watch(server_.Get(), Source::kServer, 0);
}

void Spawner::SayGoodbye() {
  for (auto& [number, box] : boxes_) box.cell->KillWithClones();
  for (auto& cell : removing_) cell->KillWithClones();
  auto until = steady_clock::now() + kMostGoodbye;
  while ((!boxes_.empty() || !removing_.empty()) && steady_clock::now() < until) {
    for (auto at = boxes_.begin(); at != boxes_.end();) {
      if (!at->second.cell->Over()) {
        ++at;
        continue;
      }
      at->second.cell->Reap();
      removing_.push_back(std::move(at->second.cell));
      at = boxes_.erase(at);
    }
    std::erase_if(removing_, [](auto& cell) { return cell->Remove(); });
    if (!boxes_.empty() || !removing_.empty()) ::usleep(2000);
  }
  boxes_.clear();
  removing_.clear();
  maker_.reset();
}

}  // namespace

int RunSpawner(std::unique_ptr<CellMaker> maker, Fd server) {
  return Spawner(std::move(maker), std::move(server)).Run();
}

}  // namespace samovar
