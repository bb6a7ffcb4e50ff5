#pragma once
// Template: the initialised process of a version that its further instances are clones of.
//
// Why      A function that imports pandas needs a second to initialise; a clone of the ready
//          process needs milliseconds.
// How      The first start of a version is its template. Once it is initialised its runtime says
//          whether it can be cloned (frame TEMPLATE, docs/formats/channel.md). One that cannot is
//          the version's first instance instead, and the reasons stay for `samovar show`. One that
//          ends is made again, after a wait that doubles with each end in a row; one that was given
//          up for want of memory, when a call needs it, but not at once.
// Errors   None. What a runtime says that cannot be read counts as not clonable.
// Threads  The event loop only. One per pool, which owns the process.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/clock.h"

namespace samovar {

class Instance;

// Why a process cannot be cloned, and what would make it clonable.
struct CloneObstacle {
  std::string problem;
  std::string remedy;
  friend bool operator==(const CloneObstacle&, const CloneObstacle&) = default;
};

// The payload of a TEMPLATE frame.
struct TemplateReport {
  bool clonable = false;
  std::vector<CloneObstacle> obstacles = {};
  Bytes private_memory = {};
};
TemplateReport ReadTemplateReport(std::string_view json);

class Template {
 public:
  enum class Stage : std::uint8_t { kNone, kInitialising, kClonable, kNotClonable };

  static constexpr std::chrono::seconds kFirstWait{1};
  static constexpr std::chrono::seconds kLongestWait{64};
  static constexpr std::chrono::minutes kStable{1};      // one that lived so long failed by chance
  static constexpr std::chrono::seconds kAfterDrop{30};  // memory was short just now
  static constexpr int kManyFailures = 3;                // of clones, in a row

  Stage At() const { return stage_; }
  bool Clonable() const { return stage_ == Stage::kClonable; }
  bool Initialising() const { return stage_ == Stage::kInitialising; }
  // Whether the next start may be one.
  bool MayMake(SteadyTime now) const { return stage_ == Stage::kNone && now >= retry_at_; }
  // Whether it ended by itself, so that it is made again without a call.
  bool Lost() const { return stage_ == Stage::kNone && lost_; }
  Instance* Process() const { return process_; }

  void Begin(Instance& process, std::vector<std::string> env, SteadyTime now);
  // Its initialisation succeeded; answers whether it can be cloned. Where not, the process is the
  // pool's to use.
  bool Ready(TemplateReport report, SteadyTime now);
  void InitFailed(SteadyTime now);
  // Its process has ended, by itself or killed from outside.
  void Ended(SteadyTime now);
  // Given up, for want of memory or as nobody needs it; answers the process to end.
  Instance* Drop(SteadyTime now, std::chrono::nanoseconds wait);

  void CloneMade() { clone_failures_ = 0; }
  // No clone could be made; answers the process to end where this was the last try.
  Instance* CloneFailed(SteadyTime now);
  // A clone ended before it was ready; the same.
  Instance* CloneBroke(SteadyTime now, std::string how);
  Instance* CannotBeCloned(CloneObstacle obstacle);

  // What of `env`, the whole environment of a clone, is not as in the template's.
  std::vector<std::string> Difference(const std::vector<std::string>& env) const;
  const std::vector<CloneObstacle>& Obstacles() const { return report_.obstacles; }
  Bytes PrivateMemory() const { return report_.private_memory; }
  SteadyTime Born() const { return born_; }  // when its initialisation began
  SteadyTime ReadySince() const { return ready_; }

 private:
  Instance* Leave(Stage stage);

  Stage stage_ = Stage::kNone;
  Instance* process_ = nullptr;
  std::vector<std::string> env_;  // sorted
  TemplateReport report_;
  SteadyTime born_{};
  SteadyTime ready_{};
  SteadyTime retry_at_{};
  std::chrono::nanoseconds wait_{kFirstWait};
  bool lost_ = false;
  int clone_failures_ = 0;
};

std::string_view StageName(Template::Stage stage);

}  // namespace samovar
