// CgroupTree: finding the hierarchies, and the parent of all sandboxes.
#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <csignal>
#include <optional>
#include <sstream>
#include <thread>

#include "os/cgroup.h"
#include "os/linux.h"

namespace samovar {
namespace {

constexpr std::string_view kControllers[] = {"memory", "cpu", "pids", "freezer"};

struct Hierarchy {
  std::string mount;       // "/sys/fs/cgroup/memory"
  std::string mount_root;  // what part of the hierarchy is mounted there, "/" mostly
  std::string options;     // ",rw,memory,"
  bool v2 = false;
};

// The cgroup mounts of this process, from mountinfo: "id parent dev root mount options - type
// source superoptions".
Result<std::vector<Hierarchy>> Hierarchies() {
  TRY(auto text, ReadSmallFile("/proc/self/mountinfo"));
  std::vector<Hierarchy> found;
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::istringstream words(line);
    std::string skip, root, mount, word, type, source, super;
    words >> skip >> skip >> skip >> root >> mount;
    while (words >> word && word != "-") {
    }
    words >> type >> source >> super;
    if (type == "cgroup" || type == "cgroup2") {
      found.push_back({mount, root, "," + super + ",", type == "cgroup2"});
    }
  }
  return found;
}

// The path of this process's cgroup in the hierarchy of `controller` ("" for version 2).
Result<std::string> OwnPath(std::string_view controller) {
  TRY(auto text, ReadSmallFile("/proc/self/cgroup"));
  std::istringstream lines(text);
  for (std::string line; std::getline(lines, line);) {
    std::size_t first = line.find(':'), second = line.find(':', first + 1);
    if (second == std::string::npos) continue;
    std::string names = "," + line.substr(first + 1, second - first - 1) + ",";
    bool match = controller.empty()
                     ? names == ",,"
                     : names.find(fmt::format(",{},", controller)) != std::string::npos;
    if (match) return line.substr(second + 1);
  }
  return Fail(Code::kUnsupported, fmt::format("no cgroup of controller '{}'", controller));
}

std::string Below(const Hierarchy& hierarchy, const std::string& own) {
  std::string path = own;
  if (hierarchy.mount_root != "/" && path.starts_with(hierarchy.mount_root)) {
    path = path.substr(hierarchy.mount_root.size());
  }
  if (path == "/" || path.find("..") != std::string::npos) path.clear();
  return hierarchy.mount + path;
}

Result<void> MakeDir(const std::string& path) {
  if (::mkdir(path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return std::unexpected(ErrnoError("make cgroup " + path));
}

std::vector<std::string> Children(const std::string& path) {
  std::vector<std::string> names;
  DIR* dir = ::opendir(path.c_str());
  if (!dir) return names;
  while (dirent* entry = ::readdir(dir)) {
    if (entry->d_type == DT_DIR && entry->d_name[0] != '.') names.emplace_back(entry->d_name);
  }
  ::closedir(dir);
  return names;
}

void KillMembers(const std::string& path) {
  (void)WriteSmallFile(path + "/freezer.state", "THAWED");
  (void)WriteSmallFile(path + "/cgroup.freeze", "0");
  auto text = ReadSmallFile(path + "/cgroup.procs");
  std::istringstream pids(text ? *text : "");
  for (pid_t pid; pids >> pid;) ::kill(pid, SIGKILL);
}

// Kills and removes everything below `path`; gives the dying ten seconds.
void Clear(const std::string& path) {
  for (int attempt = 0; attempt < 1000; ++attempt) {
    bool left = false;
    for (const auto& name : Children(path)) {
      std::string child = path + "/" + name;
      if (::rmdir(child.c_str()) == 0) continue;
      left = true;
      KillMembers(child);
    }
    if (!left) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  }
}

// An earlier life may have run in another cgroup, and its tree lies below that one.
void ClearAllNamed(const std::string& path, const std::string& name, int depth) {
  for (const auto& child : Children(path)) {
    std::string below = path + "/" + child;
    if (child == name) {
      Clear(below);
      ::rmdir(below.c_str());
    } else if (depth > 0) {
      ClearAllNamed(below, name, depth - 1);
    }
  }
}

Fd MountForQuickMoves(const std::string& name) {
  Fd context(static_cast<int>(::syscall(SYS_fsopen, "cgroup", FSOPEN_CLOEXEC)));
  if (!context) return {};
  auto set = [&](unsigned kind, const char* key, const char* value) {
    return ::syscall(SYS_fsconfig, context.Get(), kind, key, value, 0) == 0;
  };
  if (!set(FSCONFIG_SET_FLAG, "none", nullptr) || !set(FSCONFIG_SET_STRING, "name", name.c_str()) ||
      !set(FSCONFIG_SET_FLAG, "favordynmods", nullptr) ||
      !set(FSCONFIG_CMD_CREATE, nullptr, nullptr)) {
    return {};
  }
  return Fd(static_cast<int>(::syscall(SYS_fsmount, context.Get(), FSMOUNT_CLOEXEC, 0)));
}

Result<std::vector<std::string>> OpenV1(const std::vector<Hierarchy>& all,
                                        const std::string& name) {
  std::vector<std::string> paths;
  for (std::string_view controller : kControllers) {
    auto at = std::find_if(all.begin(), all.end(), [&](const Hierarchy& h) {
      return !h.v2 && h.options.find(fmt::format(",{},", controller)) != std::string::npos;
    });
    if (at == all.end()) {
      return Fail(Code::kUnsupported,
                  fmt::format("the cgroup controller '{}' is not mounted", controller));
    }
    TRY(auto own, OwnPath(controller));
    paths.push_back(Below(*at, own) + "/" + name);
    TRY(MakeDir(paths.back()));
  }
  // Half of an ordinary process's weight on every CPU, so that the server comes first.
  long shares = 512 * std::max(1L, ::sysconf(_SC_NPROCESSORS_ONLN));
  TRY(WriteSmallFile(paths[1] + "/cpu.shares", std::to_string(shares)));
  return paths;
}

Result<std::vector<std::string>> OpenV2(const Hierarchy& hierarchy, const std::string& name) {
  TRY(auto own, OwnPath(""));
  // A cgroup with processes in it cannot hand controllers on (all but the root), so the own cgroup
  // serves only where it may; else the tree goes below the root of the mount.
  for (const std::string& base : {Below(hierarchy, own), hierarchy.mount}) {
    if (!WriteSmallFile(base + "/cgroup.subtree_control", "+memory +cpu +pids")) continue;
    std::string path = base + "/" + name;
    TRY(MakeDir(path));
    TRY(WriteSmallFile(path + "/cgroup.subtree_control", "+memory +cpu +pids"));
    TRY(WriteSmallFile(path + "/cpu.weight", "50"));
    return std::vector{path};
  }
  return Fail(Code::kUnsupported,
              "cgroup version 2 does not let this process hand on memory, cpu and pids; run it as "
              "a service with Delegate=yes");
}

}  // namespace

Result<CgroupTree> CgroupTree::Open(const std::string& name) {
  TRY(auto all, Hierarchies());
  CgroupTree tree;
  constexpr int kDepth = 8;
  // The freezer's first: version 1 does not kill the frozen, and clearing thaws.
  std::partition(all.begin(), all.end(), [](const Hierarchy& h) {
    return h.options.find(",freezer,") != std::string::npos;
  });
  for (const auto& hierarchy : all) ClearAllNamed(hierarchy.mount, name, kDepth);
  auto v2 = std::find_if(all.begin(), all.end(), [](const Hierarchy& h) {
    if (!h.v2) return false;
    auto has = ReadSmallFile(h.mount + "/cgroup.controllers");
    return has && has->find("memory") != std::string::npos;
  });
  tree.v2_ = v2 != all.end();
  auto any_v2 = std::find_if(all.begin(), all.end(), [](const Hierarchy& h) { return h.v2; });
  TRY(tree.paths_, tree.v2_ ? OpenV2(*v2, name) : OpenV1(all, name));
  if (tree.v2_) {
    tree.network_path_ = tree.paths_[0];
  } else if (any_v2 != all.end()) {
    auto own = OwnPath("");
    if (own) tree.network_path_ = Below(*any_v2, *own) + "/" + name;
  }
  tree.quick_ = MountForQuickMoves(name);
  return tree;
}

Fd CgroupTree::OpenNetworkGroup() {
  if (network_path_.empty()) return {};
  std::string path = network_path_ + "/network";
  for (const std::string& dir : {network_path_, path}) {
    if (::mkdir(dir.c_str(), 0755) != 0 && errno != EEXIST) return {};
  }
  return Fd(::open(path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
}

Result<Cgroup> CgroupTree::Create(const std::string& leaf) {
  Cgroup group;
  group.v2_ = v2_;
  auto fill = [&]() -> Result<void> {
    for (const auto& parent : paths_) {
      std::string path = parent + "/" + leaf;
      if (::mkdir(path.c_str(), 0755) != 0) return std::unexpected(ErrnoError("make " + path));
      group.parts_.push_back({path, Fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC))});
      if (!group.parts_.back().dir) return std::unexpected(ErrnoError("open " + path));
    }
    const char* usage = v2_ ? "memory.current" : "memory.usage_in_bytes";
    group.usage_ = Fd(::openat(group.Dir("memory"), usage, O_RDONLY | O_CLOEXEC));
    group.stat_ = group.OpenMemoryStat();
    if (!group.usage_ || !group.stat_) return std::unexpected(ErrnoError("open " + leaf));
    return {};
  };
  if (auto filled = fill(); !filled) {
    group.Remove();
    return std::unexpected(filled.error());
  }
  return group;
}

void CgroupTree::Remove() {
  if (!v2_ && !network_path_.empty()) {
    Clear(network_path_);
    ::rmdir(network_path_.c_str());
  }
  for (auto at = paths_.rbegin(); at != paths_.rend(); ++at) {
    Clear(*at);
    ::rmdir(at->c_str());
  }
}

}  // namespace samovar
