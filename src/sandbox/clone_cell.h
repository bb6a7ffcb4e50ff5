#pragma once
// CloneCell: a sandbox that is a clone of a clonable one.
//
// How      The template is asked over its control socket, with the clone's log, channel and a
//          `setup` socket. Of the two processes that then come into being, each says one letter
//          over `setup`: "I" process 1 of the new pid namespace, which only reaps, "P" the program.
//          They are looked at (clone_parties.h), dressed (dresser.h), and let go with a "G". At
//          the program's end process 1 says "X", the wait status and the largest size (KiB), and
//          ends, and the kernel ends what is left. All that is said is user code's word: where the
//          kernel knows better, that counts.
// Errors   kUnavailable: the template did not do it, or not in time. Others of dresser.h.
// Threads  The spawner's only one.

#include <memory>
#include <optional>

#include "sandbox/bounded_cell.h"
#include "sandbox/clone_parties.h"
#include "sandbox/dresser.h"
#include "sandbox/egress.h"
#include "sandbox/isolated_cell.h"

namespace samovar {

class CloneCell final : public BoundedCell {
 public:
  CloneCell(const IsolatedCell& original, const CloneSpec& spec, std::unique_ptr<Dresser> dresser,
            int network_group);

  Result<void> Start(const IsolatedCell& original, const CloneSpec& spec);

  Heard Hear() override;
  void Kill() override;
  std::chrono::milliseconds CheckMemory() override;
  bool Over() override;
  SandboxExit Reap() override;
  bool Remove() override;
  std::chrono::seconds Patience() const override { return std::chrono::seconds(10); }

 private:
  Result<bool> Ready(std::vector<Fd>) override { return false; }
  Cgroup& cgroup() override { return dresser_->cgroup; }
  Result<void> HearSetup(Heard& heard);
  Result<void> TakeMessage(std::string_view body, pid_t from, Heard& heard);
  Result<void> Adopt(Heard& heard);
  Result<void> HearDresser(Heard& heard);
  Result<void> Go(Heard& heard);

  std::shared_ptr<Shell> original_;
  std::unique_ptr<Dresser> dresser_;
  int network_group_;
  TemplateMark mark_;
  Fd members_;  // of the original's cgroup
  CloneParty init_, party_;
  bool going_ = false;
  int said_ = 0;
  std::unique_ptr<Egress> egress_;
  std::optional<int> told_status_;
  Bytes told_size_;
  std::optional<std::chrono::steady_clock::time_point> program_ended_;
};

}  // namespace samovar
