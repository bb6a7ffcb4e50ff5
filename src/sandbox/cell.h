#pragma once
// Cell: one sandbox as the spawner holds it. CellMaker: the one kind of isolation in force.
//
// How      A Cell exists from its clone until its processes are reaped and its traces removed. The
//          spawner's loop tells it what happened; it never waits.
// Threads  The spawner's only one.

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "os/fd.h"
#include "sandbox/sandbox.h"
#include "sandbox/spawner_protocol.h"

namespace samovar {

class Cell {
 public:
  virtual ~Cell() = default;

  // What the loop listens to; -1 for what is not there (yet).
  int pidfd() const { return pidfd_.Get(); }    // rings when all has ended
  int setup() const { return setup_.Get(); }    // our end; see sandbox_child.h
  int helper() const { return helper_.Get(); }  // of what helps in the set-up, see dresser.h
  int program() const {
    return program_.Get();
  }  // rings when the program has ended, where that
     // may be before the rest
  int bell() const { return bell_.Get(); }  // rings when memory use grew
  const SandboxSpec& spec() const { return spec_; }
  const Error& error() const { return error_; }  // why a set-up failed

  enum class Step : std::uint8_t {
    kWaiting,
    kAdopted,  // there is more to listen to now
    kStarted,  // the program runs
    kFailed
  };
  struct Heard {
    Step step = Step::kWaiting;
    bool setup_ended = false, helper_ended = false;  // listen no more
  };
  // Something arrived at `setup` or `helper`. Here: 'R' comes first, then either the end of the
  // socket (exec closed it) or an 'E'.
  virtual Heard Hear();
  // The program runs: the report to the server and its descriptors.
  virtual std::vector<Fd> Handover(SpawnerReport& report) = 0;

  virtual void Kill() = 0;
  virtual void KillWithClones() { Kill(); }
  virtual Result<void> Freeze(bool frozen) = 0;
  virtual Result<void> UseCpuLimit() = 0;
  // Looks at the memory in use and kills the sandbox when it is over. Answers when to look again.
  virtual std::chrono::milliseconds CheckMemory() = 0;
  // Whether all of it has ended. Asked after `pidfd` or `program` rang and some ms later again.
  virtual bool Over();
  // REQUIRES Over().
  virtual SandboxExit Reap() = 0;
  // Removes what is left of it on the host; false: try again.
  virtual bool Remove() = 0;
  // Remove() waits for clones of it, which may live long.
  virtual bool Lingers() const { return false; }
  // How long its set-up may take.
  virtual std::chrono::seconds Patience() const { return std::chrono::seconds(30); }

 protected:
  explicit Cell(SandboxSpec spec) : spec_(std::move(spec)) {}
  // What arrived with 'R'. Answers whether the child waits for a go (a byte on `setup`).
  virtual Result<bool> Ready(std::vector<Fd> fds) = 0;
  // An 'E' with its code and message.
  static Error ErrorFrom(std::string_view packet);

  SandboxSpec spec_;
  Fd pidfd_, setup_, helper_, program_, bell_;
  Error error_{Code::kInternal, "the sandbox ended during its set-up"};

 private:
  bool ready_ = false;
};

// How long a sandbox with that much memory left can hardly take to use it up: programs fill some
// 2 GiB a second. From 5 ms to 1 s.
std::chrono::milliseconds TimeToFill(Bytes left);

class CellMaker {
 public:
  virtual ~CellMaker() = default;
  virtual Result<std::unique_ptr<Cell>> Make(SandboxSpec spec) = 0;
  // REQUIRES: `original` is of this maker and its program runs.
  virtual Result<std::unique_ptr<Cell>> Clone(Cell& original, CloneSpec spec);
  // Makes one thing ready for a later Make() or Clone(), or tidies one up, when there is time.
  // False: there was nothing to do.
  virtual bool Refill() { return false; }
  // Ends what was started ahead for a spec with a boot.
  virtual void DropBooted() {}
};

// "full": REQUIRES root. `name` is unique for the server's data directory.
Result<std::unique_ptr<CellMaker>> MakeIsolatedCells(const std::string& name);
// "process": plain child processes.
std::unique_ptr<CellMaker> MakeProcessCells();

// The descriptors that a sandbox and the server share, made before the clone.
struct CellPipes {
  Fd log_read, log_write;
  Fd channel_ours, channel_theirs;
  static Result<CellPipes> Make(const SandboxSpec& spec);
};

}  // namespace samovar
