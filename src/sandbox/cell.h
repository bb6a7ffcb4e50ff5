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

  int pidfd() const { return pidfd_.Get(); }
  int setup() const { return setup_.Get(); }  // our end; see sandbox_child.h
  int bell() const { return bell_.Get(); }    // rings when memory use grew; -1 for none
  const SandboxSpec& spec() const { return spec_; }

  // What arrived with 'R'. Answers whether the child waits for a go (a byte on `setup`).
  virtual Result<bool> Ready(std::vector<Fd> fds) = 0;
  // The program runs: the report to the server and its descriptors.
  virtual std::vector<Fd> Handover(SpawnerReport& report) = 0;

  virtual void Kill() = 0;
  virtual Result<void> Freeze(bool frozen) = 0;
  virtual Result<void> UseCpuLimit() = 0;
  // Looks at the memory in use and kills the sandbox when it is over. Answers when to look again.
  virtual std::chrono::milliseconds CheckMemory() = 0;
  // After the pidfd became readable: reaps.
  virtual SandboxExit Reap() = 0;
  // Removes what is left of it on the host; false: try again.
  virtual bool Remove() = 0;

 protected:
  explicit Cell(SandboxSpec spec) : spec_(std::move(spec)) {}

  SandboxSpec spec_;
  Fd pidfd_, setup_, bell_;
};

// How long a sandbox with that much memory left can hardly take to use it up: programs fill some
// 2 GiB a second. From 5 ms to 1 s.
std::chrono::milliseconds TimeToFill(Bytes left);

class CellMaker {
 public:
  virtual ~CellMaker() = default;
  virtual Result<std::unique_ptr<Cell>> Make(SandboxSpec spec) = 0;
  // Makes one thing ready for a later Make(), when there is time. False: there was nothing to do.
  virtual bool Refill() { return false; }
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
