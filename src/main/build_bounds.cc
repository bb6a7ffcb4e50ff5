#include "main/build_bounds.h"

#include <fmt/format.h>
#include <sched.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <charconv>
#include <csignal>
#include <cstdio>
#include <filesystem>
#include <fstream>
#include <map>

#include "main/child_process.h"
#include "main/config.h"
#include "os/linux.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

constexpr auto kLook = std::chrono::milliseconds(50);
// Whoever takes it: less than this left on a disk ends a build.
constexpr std::uint64_t kLeastFree = std::uint64_t{256} << 20;
constexpr const char* kGroupName = "samovar-build-";
constexpr const char* kLeaf = "step";

std::string Setting(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

Result<void> ReadSize(const char* name, Bytes& into) {
  const auto text = Setting(name);
  if (text.empty()) return {};
  const auto size = ParseSize(text);
  if (!size || size->count < (16u << 20)) {
    return Fail(Code::kInvalid, fmt::format("{}: expected a size of 16MB or more, such as 4GB; it "
                                            "is {:?}",
                                            name, text));
  }
  into = *size;
  return {};
}

Result<void> ReadCount(const char* name, int least, int& into) {
  const auto text = Setting(name);
  if (text.empty()) return {};
  const auto [end, bad] = std::from_chars(text.data(), text.data() + text.size(), into);
  if (bad == std::errc() && end == text.data() + text.size() && into >= least) return {};
  return Fail(Code::kInvalid,
              fmt::format("{}: expected a number of {} or more; it is {:?}", name, least, text));
}

// Those that this process may run on.
std::vector<int> Processors() {
  cpu_set_t set;
  std::vector<int> out;
  if (::sched_getaffinity(0, sizeof set, &set) != 0) return out;
  for (int i = 0; i < CPU_SETSIZE; ++i) {
    if (CPU_ISSET(i, &set)) out.push_back(i);
  }
  return out;
}

// On the last of them: the first has most of the machine's own work. Tools that ask how many there
// are begin no more than they can run.
void RunOn(std::uint64_t count) {
  const auto all = Processors();
  if (count == 0 || count >= all.size()) return;
  cpu_set_t set;
  CPU_ZERO(&set);
  for (auto at = all.end() - static_cast<std::ptrdiff_t>(count); at != all.end(); ++at) {
    CPU_SET(*at, &set);
  }
  (void)::sched_setaffinity(0, sizeof set, &set);
}

std::uint64_t FreeOn(const std::string& folder) {
  struct statvfs at{};
  return ::statvfs(folder.c_str(), &at) == 0 ? at.f_bavail * at.f_frsize : ~std::uint64_t{0};
}

std::uint64_t DiskOf(const std::string& folder) {
  std::uint64_t total = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(folder, error), end; !error && at != end;
       at.increment(error)) {
    struct stat info{};
    if (::lstat(at->path().c_str(), &info) == 0) {
      total += static_cast<std::uint64_t>(info.st_blocks) * 512;
    }
  }
  return total;
}

struct ProcessFacts {
  pid_t parent = 0;
  int threads = 0;
  std::uint64_t memory = 0;  // resident
};

std::map<pid_t, ProcessFacts> AllProcesses() {
  static const auto page = static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE));
  std::map<pid_t, ProcessFacts> all;
  std::error_code error;
  for (fs::directory_iterator at("/proc", error), end; !error && at != end; at.increment(error)) {
    const auto name = at->path().filename().string();
    pid_t pid = 0;
    if (std::from_chars(name.data(), name.data() + name.size(), pid).ec != std::errc()) continue;
    const auto text = ReadSmallFile(at->path().string() + "/stat");
    const auto close = text ? text->rfind(')') : std::string::npos;
    if (close == std::string::npos) continue;
    ProcessFacts facts;
    std::istringstream words(text->substr(close + 2));
    std::string skip;
    words >> skip >> facts.parent;
    for (int i = 0; i < 15; ++i) words >> skip;
    words >> facts.threads;
    for (int i = 0; i < 3; ++i) words >> skip;
    words >> facts.memory;
    facts.memory *= page;
    all[pid] = facts;
  }
  return all;
}

// `root` and all below it, as the sandbox's own first process adopts what loses its parent.
std::map<pid_t, ProcessFacts> Tree(pid_t root) {
  const auto all = AllProcesses();
  std::map<pid_t, ProcessFacts> tree;
  for (const auto& [pid, facts] : all) {
    pid_t up = pid;
    for (int depth = 0; up > 1 && up != root && depth < 10'000; ++depth) {
      const auto at = all.find(up);
      up = at == all.end() ? 0 : at->second.parent;
    }
    if (up == root) tree.emplace(pid, facts);
  }
  return tree;
}

// What pages are shared is counted once here, which takes longer.
std::uint64_t ProportionalMemory(pid_t pid) {
  const auto text = ReadSmallFile(fmt::format("/proc/{}/smaps_rollup", pid));
  return text ? NumberAfter(*text, "Pss: ") * 1024 : 0;
}

std::string Took(std::string_view what, std::string_view setting) {
  return fmt::format("it took more than {}, which is the bound of a build ({})", what, setting);
}

// Groups of commands that were killed before they could remove theirs.
void RemoveLeft(const std::vector<std::string>& paths) {
  for (const auto& path : paths) {
    std::error_code error;
    for (fs::directory_iterator at(fs::path(path).parent_path(), error), end; !error && at != end;
         at.increment(error)) {
      const auto name = at->path().filename().string();
      if (!name.starts_with(kGroupName)) continue;
      const auto pid = std::atoi(name.c_str() + std::string_view(kGroupName).size());
      if (pid <= 0 || ::kill(pid, 0) == 0 || errno != ESRCH) continue;
      ::rmdir((at->path() / kLeaf).c_str());
      ::rmdir(at->path().c_str());
    }
  }
}

}  // namespace

Result<BuildBounds> ReadBuildBounds() {
  BuildBounds bounds;
  const auto pages = static_cast<std::uint64_t>(::sysconf(_SC_PHYS_PAGES));
  bounds.memory = Bytes{pages * static_cast<std::uint64_t>(::sysconf(_SC_PAGESIZE)) / 2};
  bounds.disk = Bytes{std::uint64_t{50} << 30};
  bounds.time = std::chrono::hours(1);
  TRY(ReadSize("SAMOVAR_BUILD_MEMORY", bounds.memory));
  TRY(ReadSize("SAMOVAR_BUILD_DISK", bounds.disk));
  if (const auto text = Setting("SAMOVAR_BUILD_TIME"); !text.empty()) {
    const auto time = ParseDuration(text);
    if (!time || time->count() <= 0) {
      return Fail(Code::kInvalid, fmt::format("SAMOVAR_BUILD_TIME: expected a time such as 30m; it "
                                              "is {:?}",
                                              text));
    }
    bounds.time = *time;
  }
  TRY(ReadCount("SAMOVAR_BUILD_PROCESSES", 16, bounds.processes));
  const int all = std::max(1, static_cast<int>(Processors().size()));
  bounds.processors = all > 2 ? all - 1 : all;
  TRY(ReadCount("SAMOVAR_BUILD_CPUS", 1, bounds.processors));
  return bounds;
}

std::optional<BuildGroup> BuildGroup::Open(const BuildBounds& bounds) {
  auto tree = CgroupTree::Open(kGroupName + std::to_string(::getpid()));
  if (!tree) return std::nullopt;
  RemoveLeft(tree->Paths());
  BuildGroup made(std::move(*tree));
  auto group = made.tree_.Create(kLeaf);
  if (!group || !group->SetLimits(bounds.memory, bounds.processes)) return std::nullopt;
  (void)group->SetCpus(bounds.processors);
  // Priority counts within a cgroup, weight between them: half of what one other process or group
  // beside it gets. A tenth let a build stand still on a machine with ten busy processes.
  for (const auto& path : made.tree_.Paths()) {
    (void)WriteSmallFile(path + "/cpu.weight", "50");
    (void)WriteSmallFile(path + "/cpu.shares", "512");
  }
  made.group_ = std::move(*group);
  return made;
}

BuildGroup::~BuildGroup() {
  if (tree_.Paths().empty()) return;  // moved from
  group_ = Cgroup();
  tree_.Remove();
}

std::vector<std::string> BuildGroup::Folders() const {
  std::vector<std::string> out;
  for (const auto& path : tree_.Paths()) out.push_back(path + "/" + kLeaf);
  return out;
}

bool BuildGroup::ProcessesRanOut() const {
  const auto folders = Folders();
  const auto text = ReadSmallFile(folders[folders.size() == 1 ? 0 : 2] + "/pids.events");
  return text && NumberAfter(*text, "max ") > 0;
}

BuildWatch::BuildWatch(BuildBounds bounds, BuildGroup* group, std::vector<std::string> written)
    : bounds_(bounds), written_(std::move(written)), group_(group) {
  for (const auto& folder : written_) free_.push_back(FreeOn(folder));
}

std::vector<std::string> BuildWatch::Stage() const {
  const auto folders = group_ ? group_->Folders() : std::vector<std::string>();
  std::vector<std::string> words{kThisProgram,
                                 std::string(kBoundedBuild),
                                 std::to_string(bounds_.disk.count),
                                 group_ ? "0" : std::to_string(bounds_.memory.count),
                                 std::to_string(bounds_.processors),
                                 std::to_string(folders.size())};
  words.insert(words.end(), folders.begin(), folders.end());
  return words;
}

void BuildWatch::Begin(pid_t tool) {
  tool_ = tool;
  end_ = std::chrono::steady_clock::now() + bounds_.time;
  thread_ = std::thread([this] { Run(); });
}

std::string BuildWatch::End() {
  if (!thread_.joinable()) return why_;
  {
    const std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  stop_.notify_all();
  thread_.join();
  // The tool may have ended of it before anybody looked.
  if (why_.empty() && group_ && group_->MemoryRanOut()) why_ = Look();
  if (why_.empty() && group_ && group_->ProcessesRanOut()) {
    why_ = Took(fmt::format("{} processes", bounds_.processes), "SAMOVAR_BUILD_PROCESSES");
  }
  return why_;
}

std::string BuildWatch::Look() {
  if (std::chrono::steady_clock::now() >= end_) {
    return Took(ShowDuration(bounds_.time), "SAMOVAR_BUILD_TIME");
  }
  if (group_ && group_->MemoryRanOut()) {
    return Took(ShowSize(bounds_.memory) + " of memory", "SAMOVAR_BUILD_MEMORY");
  }
  if (!group_) {
    if (auto why = LookAtProcesses(); !why.empty()) return why;
  }
  return LookAtDisk();
}

std::string BuildWatch::LookAtProcesses() {
  const auto tree = Tree(tool_);
  std::uint64_t memory = 0;
  int threads = 0;
  for (const auto& [pid, facts] : tree) {
    threads += facts.threads;
    memory += facts.memory;
  }
  if (threads > bounds_.processes) {
    return Took(fmt::format("{} processes", bounds_.processes), "SAMOVAR_BUILD_PROCESSES");
  }
  if (memory <= bounds_.memory.count) return "";
  memory = 0;
  for (const auto& [pid, facts] : tree) memory += ProportionalMemory(pid);
  if (memory <= bounds_.memory.count) return "";
  return Took(ShowSize(bounds_.memory) + " of memory", "SAMOVAR_BUILD_MEMORY");
}

std::string BuildWatch::LookAtDisk() {
  for (std::size_t i = 0; i < written_.size(); ++i) {
    const auto now = FreeOn(written_[i]);
    if (now < kLeastFree && free_[i] >= kLeastFree) {
      return fmt::format("less than {} is left on the disk of {}", ShowSize(Bytes{kLeastFree}),
                         written_[i]);
    }
    if (now >= free_[i] || free_[i] - now <= bounds_.disk.count) continue;
    // Others write there, too.
    std::uint64_t ours = 0;
    for (const auto& folder : written_) ours += DiskOf(folder);
    if (ours > bounds_.disk.count) {
      return Took(ShowSize(bounds_.disk) + " of disk", "SAMOVAR_BUILD_DISK");
    }
    free_[i] = now + bounds_.disk.count / 2;
  }
  return "";
}

void BuildWatch::Run() {
  std::unique_lock lock(mutex_);
  while (!stop_.wait_for(lock, kLook, [this] { return stopping_; })) {
    why_ = Look();
    if (why_.empty()) continue;
    // bubblewrap's first process goes with it, and with that one all others; outside of a sandbox
    // the tree is ended from its root, and once more for what began meanwhile.
    for (int i = 0; i < 3; ++i) {
      for (const auto& [pid, facts] : Tree(tool_)) ::kill(pid, SIGKILL);
    }
    ::kill(tool_, SIGKILL);
    if (group_) group_->Kill();
    return;
  }
}

int RunBounded(int count, char** words) {
  if (count < 5) return 2;
  const auto number = [&](int at) { return std::strtoull(words[at], nullptr, 10); };
  const int folders = static_cast<int>(number(3));
  if (count < 5 + folders) return 2;
  for (int i = 0; i < folders; ++i) {
    if (!WriteSmallFile(std::string(words[4 + i]) + "/cgroup.procs", "0")) {
      std::fputs(fmt::format("samovar: cannot join {}\n", words[4 + i]).c_str(), stderr);
      return 2;
    }
  }
  const auto limit = [](auto which, std::uint64_t to) {
    if (to == 0 && which != RLIMIT_CORE) return;
    rlimit bound{.rlim_cur = to, .rlim_max = to};
    ::setrlimit(which, &bound);
  };
  limit(RLIMIT_FSIZE, number(0));
  limit(RLIMIT_DATA, number(1));
  limit(RLIMIT_CORE, 0);
  RunOn(number(2));
  ::setpriority(PRIO_PROCESS, 0, 10);
  (void)WriteSmallFile("/proc/self/autogroup", "10");
  (void)WriteSmallFile("/proc/self/oom_score_adj", "500");
  char** program = words + 4 + folders;
  ::execvp(program[0], program);
  std::fputs((ErrnoError(std::string("cannot run ") + program[0]).message + "\n").c_str(), stderr);
  return 127;
}

}  // namespace samovar
