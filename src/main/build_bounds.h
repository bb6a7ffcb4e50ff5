#pragma once
// BuildBounds: what a build may take of its machine, and BuildWatch, which ends one that takes
// more.
//
// Why      A package's own build script is code that nobody has read; it must not starve the host.
// How      A cgroup of its own (memory, processes, processors, and little weight beside others)
//          where the caller may make one. Everywhere a
//          thread outside of the sandbox, where the build cannot reach it, looks every 50 ms: at
//          the time, at the disk, and without a cgroup at the memory and number of its processes.
//          Limits that a process carries (size of a file, its own memory, priority, which
//          processors it runs on and counts, the first to be
//          killed when memory is short) are set by a stage of this program before the tool
//          (RunBounded).
// Errors   kInvalid names the setting that cannot be read.
// Threads  Begin() and End() on one; the watch has its own in between.

#include <sys/types.h>

#include <chrono>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "os/cgroup.h"

namespace samovar {

struct BuildBounds {
  Bytes memory;          // of all its processes together
  int processes = 1024;  // threads too
  int processors = 1;
  Bytes disk;                        // written by one tool
  std::chrono::milliseconds time{};  // of one tool
};
// From SAMOVAR_BUILD_MEMORY, _PROCESSES, _CPUS, _DISK and _TIME.
Result<BuildBounds> ReadBuildBounds();

// The cgroup that the tools of one command run in, one after the other.
class BuildGroup {
 public:
  // Empty where the caller may not make one.
  static std::optional<BuildGroup> Open(const BuildBounds& bounds);
  BuildGroup(BuildGroup&&) = default;
  ~BuildGroup();

  std::vector<std::string> Folders() const;  // into whose cgroup.procs a member writes itself
  bool MemoryRanOut() { return group_.KernelOom(); }
  bool ProcessesRanOut() const;
  Bytes Memory() { return group_.Usage(); }
  void Kill() { group_.KillAllBut(0); }

 private:
  explicit BuildGroup(CgroupTree tree) : tree_(std::move(tree)) {}
  CgroupTree tree_;
  Cgroup group_;
};

// One tool under watch.
class BuildWatch {
 public:
  // `group`: null where there is none. `written`: folders that the tool may write to.
  BuildWatch(BuildBounds bounds, BuildGroup* group, std::vector<std::string> written);
  ~BuildWatch() { End(); }

  // What goes before the tool's words.
  std::vector<std::string> Stage() const;
  void Begin(pid_t tool);
  // Why the tool was ended, or what it could not have: "it took more than ..."; "" for nothing.
  std::string End();

 private:
  void Run();
  std::string Look();
  std::string LookAtProcesses();
  std::string LookAtDisk();

  const BuildBounds bounds_;
  const std::vector<std::string> written_;
  BuildGroup* const group_;
  std::vector<std::uint64_t> free_;  // of each folder's file system at the beginning
  pid_t tool_ = -1;
  std::chrono::steady_clock::time_point end_{};
  std::mutex mutex_;
  std::condition_variable stop_;
  bool stopping_ = false;
  std::string why_;
  std::thread thread_;
};

// What a stage does: joins the cgroup, takes the limits and becomes the tool. `words`:
// FILE_BYTES DATA_BYTES PROCESSORS COUNT FOLDER... PROGRAM ARGUMENT...; 0 is no limit.
int RunBounded(int count, char** words);

// How the command line says that it is to be that.
inline constexpr std::string_view kBoundedBuild = "bounded-build";

}  // namespace samovar
