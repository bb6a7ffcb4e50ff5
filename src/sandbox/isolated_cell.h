#pragma once
// IsolatedCell: a sandbox of isolation "full" that was made anew: namespaces, cgroup, seccomp, the
// shared root tree. A clonable one stays after its program's end while clones of it live.
//
// Threads  The spawner's only one.

#include <memory>

#include "sandbox/bounded_cell.h"
#include "sandbox/egress.h"
#include "sandbox/shell.h"

namespace samovar {

class IsolatedCell final : public BoundedCell {
 public:
  IsolatedCell(SandboxSpec spec, std::shared_ptr<Shell> shell, int network_group);

  Result<void> Start(RootTree& root);
  std::shared_ptr<Shell> shell() const { return shell_; }
  // What clones need of it.
  int control() const { return control_.Get(); }
  int tmp() const { return tmp_.Get(); }
  int shm() const { return shm_.Get(); }

  std::vector<Fd> Handover(SpawnerReport& report) override;
  void Kill() override;
  void KillWithClones() override;
  bool Over() override;
  SandboxExit Reap() override;
  bool Remove() override { return !Lingers() && shell_->Gone(); }
  bool Lingers() const override { return shell_.use_count() > 1; }

 private:
  Result<bool> Ready(std::vector<Fd> fds) override;
  Cgroup& cgroup() override { return shell_->cgroup; }

  std::shared_ptr<Shell> shell_;  // clones hold it too
  int network_group_;
  Fd control_, shm_;
  std::unique_ptr<Egress> egress_;
};

}  // namespace samovar
