// The maker of cells of isolation "full".
#include <fmt/format.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <deque>
#include <functional>
#include <list>

#include "base/log.h"
#include "os/egress_guard.h"
#include "sandbox/clone_cell.h"
#include "sandbox/isolated_cell.h"

namespace samovar {
namespace {

constexpr unsigned kSlots = 1 << 14;      // sandboxes at once
constexpr std::size_t kSpares = 4;        // shells, and dressers, kept ready: about 0.3 MB each
constexpr std::size_t kMostGenerics = 4;  // processes booted ahead: some 40 MB each
constexpr Bytes kGenericMemory = Bytes::MiB(512);
constexpr int kMostAttempts = 1000;  // to remove what was given up, some 5 ms apart

class IsolatedCells final : public CellMaker {
 public:
  explicit IsolatedCells(Grounds grounds) : grounds_(std::move(grounds)) {
    for (unsigned slot = 0; slot < kSlots; ++slot) grounds_.free_slots.insert(slot);
  }
  ~IsolatedCells() override { grounds_.cgroups.Remove(); }

  Result<std::unique_ptr<Cell>> Make(SandboxSpec spec) override {
    if (spec.network == Network::kEgress) {
      TRY(OpenWayOut());
    }
    if (spec.boot) {
      if (auto cell = TakeBooted(spec)) return cell;
    }
    spec.boot.reset();  // it starts as anything does
    TRY(auto shell, TakeShell());
    auto cell = std::make_unique<IsolatedCell>(std::move(spec), shell, network_group_.Get());
    if (auto started = cell->Start(grounds_.root); !started) {
      Leave([shell] { return shell->Gone(); });
      return std::unexpected(started.error());
    }
    return cell;
  }

  Result<std::unique_ptr<Cell>> Clone(Cell& original, CloneSpec spec) override {
    auto* from = dynamic_cast<IsolatedCell*>(&original);
    if (!from || !from->spec().clonable) {
      return Fail(Code::kUnsupported, "this sandbox cannot be cloned");
    }
    dressers_wanted_ = true;
    TRY(auto dresser, TakeDresser());
    auto cell = std::make_unique<CloneCell>(*from, spec, std::move(dresser), network_group_.Get());
    if (auto started = cell->Start(*from, spec); !started) {
      cell->Kill();
      (void)cell->Reap();
      Leave([left = std::shared_ptr<Cell>(std::move(cell))] { return left->Remove(); });
      return std::unexpected(started.error());
    }
    return cell;
  }

  void DropBooted() override {
    for (auto& generic : generics_) Discard(std::move(generic.booted));
    generics_.clear();
  }

  bool Refill() override {
    std::erase_if(leaving_, [](Leaving& left) { return left.try_again() || left.Despair(); });
    if (spares_.size() < kSpares) {
      auto shell = NewShell();
      if (shell) spares_.push_back(std::move(*shell));
      return shell.has_value() || !leaving_.empty();
    }
    if (dressers_wanted_ && dressers_.size() < kSpares) {
      auto dresser = NewDresser();
      if (dresser) dressers_.push_back(std::move(*dresser));
      return dresser.has_value() || !leaving_.empty();
    }
    if (BootAhead()) return true;
    return !leaving_.empty();
  }

 private:
  // A runtime that was asked for: a process of it is kept booted, from the second start on.
  struct Generic {
    std::string key;
    SandboxSpec spec;  // without what is a function's
    std::unique_ptr<IsolatedCell> booted;
  };
  // What was given up and is not gone yet.
  struct Leaving {
    std::function<bool()> try_again;
    int attempts = 0;
    bool Despair() {
      if (++attempts < kMostAttempts) return false;
      LogError("a sandbox that was given up cannot be removed; the next start removes it");
      return true;
    }
  };

  void Leave(std::function<bool()> try_again) {
    if (!try_again()) leaving_.push_back({.try_again = std::move(try_again)});
  }

  // Once: the guarded cgroup in which slirp4netns runs for every sandbox.
  Result<void> OpenWayOut() {
    if (network_group_) return {};
    Fd group = grounds_.cgroups.OpenNetworkGroup();
    if (!group) return {};  // StartEgress() says what is missing
    TRY(GuardEgress(group.Get()));
    network_group_ = std::move(group);
    return {};
  }

  Result<std::shared_ptr<Shell>> NewShell() {
    if (grounds_.free_slots.empty()) {
      return Fail(Code::kUnavailable, fmt::format("{} sandboxes are the most at once", kSlots));
    }
    auto shell = std::make_shared<Shell>(grounds_);
    TRY(shell->Start());
    return shell;
  }

  Result<std::unique_ptr<Dresser>> NewDresser() {
    TRY(auto cgroup, grounds_.cgroups.Create(fmt::format("s{}", ++grounds_.made)));
    return Dresser::Start(grounds_.root.path(), std::move(cgroup));
  }

  // A process that was booted ahead for such a spec, or nothing.
  std::unique_ptr<Cell> TakeBooted(const SandboxSpec& spec) {
    SandboxSpec generic = spec;
    generic.id = "generic";
    generic.env = spec.boot->env;
    generic.mounts = spec.boot->mounts;
    generic.cwd = "/";
    generic.memory = kGenericMemory;
    generic.tmp_size = Bytes::MiB(1);
    auto key = EncodeOrder({.kind = SpawnerOrder::Kind::kCreate, .spec = generic});
    auto at = std::ranges::find(generics_, key, &Generic::key);
    if (at == generics_.end()) {
      generics_.push_front({.key = std::move(key), .spec = std::move(generic), .booted = {}});
      if (generics_.size() > kMostGenerics) {
        Discard(std::move(generics_.back().booted));
        generics_.pop_back();
      }
      return nullptr;
    }
    generics_.splice(generics_.begin(), generics_, at);
    auto booted = std::move(at->booted);
    if (!booted) return nullptr;
    auto dresser = booted->Alive() ? TakeDresser() : Fail(Code::kUnavailable, "it has ended");
    if (dresser) {
      if (booted->TakeIn(spec, std::move(*dresser), grounds_.root)) return booted;
    }
    Discard(std::move(booted));
    return nullptr;
  }

  void Discard(std::unique_ptr<IsolatedCell> cell) {
    if (!cell) return;
    cell->Kill();
    Leave([left = std::shared_ptr<IsolatedCell>(std::move(cell))] { return left->Remove(); });
  }

  // True where one was started.
  bool BootAhead() {
    for (auto& generic : generics_) {
      if (generic.booted) continue;
      dressers_wanted_ = true;
      auto shell = TakeShell();
      if (!shell) return false;
      auto cell = std::make_unique<IsolatedCell>(generic.spec, *shell, -1);
      if (!cell->Start(grounds_.root)) {
        Discard(std::move(cell));
        return false;
      }
      generic.booted = std::move(cell);
      return true;
    }
    return false;
  }

  Result<std::shared_ptr<Shell>> TakeShell() {
    while (!spares_.empty()) {
      auto shell = std::move(spares_.front());
      spares_.pop_front();
      if (shell->Alive()) return shell;
      Leave([shell] { return shell->Gone(); });
    }
    return NewShell();
  }

  Result<std::unique_ptr<Dresser>> TakeDresser() {
    while (!dressers_.empty()) {
      auto dresser = std::move(dressers_.front());
      dressers_.pop_front();
      if (dresser->Alive()) return dresser;
      Leave([left = std::shared_ptr<Dresser>(std::move(dresser))] {
        return left->Reaped() && left->cgroup.Remove();
      });
    }
    return NewDresser();
  }

  Grounds grounds_;
  Fd network_group_;
  std::deque<std::shared_ptr<Shell>> spares_;
  std::deque<std::unique_ptr<Dresser>> dressers_;
  std::list<Leaving> leaving_;
  std::list<Generic> generics_;  // most recently used first
  bool dressers_wanted_ = false;
};

// Whether an ordinary user of this host may make a user namespace, as each sandbox does.
Result<void> ProbeUserNamespaces(uid_t uid) {
  pid_t child = ::fork();
  if (child < 0) return std::unexpected(ErrnoError("fork"));
  if (child == 0) {
    if (::setresuid(uid, uid, uid) != 0 || ::unshare(CLONE_NEWUSER) != 0) ::_exit(errno & 0x7f);
    ::_exit(0);
  }
  int status = 0;
  while (::waitpid(child, &status, 0) < 0 && errno == EINTR) {
  }
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {};
  return Fail(
      Code::kUnsupported,
      ErrnoError("user namespaces are not to be had (see the sysctls user.max_user_namespaces"
                 " and kernel.unprivileged_userns_clone)",
                 WEXITSTATUS(status))
          .message);
}

}  // namespace

Result<std::unique_ptr<CellMaker>> MakeIsolatedCells(const std::string& name) {
  Grounds grounds;
  // 2^30 to 2^31 holds no users of ordinary hosts; each server has 2^14 of them, chosen by name.
  auto part = static_cast<unsigned>(std::hash<std::string>{}(name) & 0xffff);
  grounds.first_uid = (1u << 30) | part << 14;
  TRY(ProbeUserNamespaces(grounds.first_uid));
  TRY(grounds.cgroups, CgroupTree::Open(name));
  TRY(grounds.root, RootTree::Build());
  TRY(grounds.filter, SeccompFilter::Build());
  TRY(grounds.template_filter, SeccompFilter::BuildForTemplates());
  void* memory = ::mmap(nullptr, kSlots * sizeof(SharedStatus), PROT_READ | PROT_WRITE,
                        MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return std::unexpected(ErrnoError("mmap"));
  grounds.statuses = static_cast<SharedStatus*>(memory);
  return std::make_unique<IsolatedCells>(std::move(grounds));
}

}  // namespace samovar
