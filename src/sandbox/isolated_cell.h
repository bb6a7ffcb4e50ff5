#pragma once
// IsolatedCell: a sandbox of isolation "full" that was made anew: namespaces, cgroup, seccomp, the
// shared root tree. A clonable one stays after its program's end while clones of it live. One that
// was started ahead (SandboxSpec::boot) becomes another when it takes that in; it has not been
// handed over until then.
//
// Threads  The spawner's only one.

#include <memory>
#include <optional>

#include "sandbox/bounded_cell.h"
#include "sandbox/dresser.h"
#include "sandbox/egress.h"
#include "sandbox/shell.h"

namespace samovar {

class IsolatedCell final : public BoundedCell {
 public:
  IsolatedCell(SandboxSpec spec, std::shared_ptr<Shell> shell, int network_group);

  Result<void> Start(RootTree& root);
  // REQUIRES: started ahead from the boot of `spec`, and never heard. To be heard from now on.
  Result<void> TakeIn(SandboxSpec spec, std::unique_ptr<Dresser> dresser, RootTree& root);
  bool Alive() const { return shell_->Alive() && !shell_->ProgramStatus(); }
  std::shared_ptr<Shell> shell() const { return shell_; }
  // What clones need of it.
  int control() const { return control_.Get(); }
  int tmp() const { return tmp_.Get(); }
  int shm() const { return shm_.Get(); }

  Heard Hear() override;
  std::vector<Fd> Handover(SpawnerReport& report) override;
  void Kill() override;
  void KillWithClones() override;
  bool Over() override;
  SandboxExit Reap() override;
  bool Remove() override;
  bool Lingers() const override { return shell_.use_count() > 1; }

 private:
  Result<bool> Ready(std::vector<Fd> fds) override;
  Result<void> MakeMountPoints(RootTree& root);
  Result<void> BeginTakingIn();
  Result<bool> HearDresser();
  Cgroup& cgroup() override { return shell_->cgroup; }

  std::shared_ptr<Shell> shell_;  // clones hold it too
  int network_group_;
  Fd control_, shm_;
  std::unique_ptr<Egress> egress_;
  // Of one that takes in.
  std::unique_ptr<Dresser> dresser_;
  std::optional<SandboxSpec> taking_;
  Bytes before_;         // its memory when it began to
  bool booted_ = false;  // its program runs, and waits to be told what it is
};

}  // namespace samovar
