#pragma once
// BoundedCell: what a sandbox made anew and a clone have in common: a cgroup that bounds them.
//
// Threads  The spawner's only one.

#include "os/cgroup.h"
#include "sandbox/cell.h"

namespace samovar {

class BoundedCell : public Cell {
 public:
  std::vector<Fd> Handover(SpawnerReport& report) override;
  Result<void> Freeze(bool frozen) override;
  Result<void> UseCpuLimit() override { return cgroup().SetCpus(spec_.cpus); }
  std::chrono::milliseconds CheckMemory() override;

 protected:
  using Cell::Cell;
  virtual Cgroup& cgroup() = 0;
  // Takes the ends for the server, and sets the cgroup's limits.
  Result<void> Bound(CellPipes& pipes, uid_t uid);
  Result<void> SetLimits();  // of spec_
  void Thaw();
  // From a wait status and the size of the largest process.
  SandboxExit ExitFrom(int status, Bytes largest);

  Fd log_, channel_, listener_, tmp_;

 private:
  std::chrono::milliseconds OutOfMemory();

  bool frozen_ = false;
  bool out_of_memory_ = false;
  Bytes most_own_;
};

}  // namespace samovar
