#include "sandbox/sandbox_mounts.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "os/linux.h"
#include "sandbox/root_tree.h"

namespace samovar {
namespace {

Result<void> Checked(int answer, std::string_view what) {
  if (answer == 0) return {};
  return std::unexpected(ErrnoError(what));
}

Result<void> MountOverlay(const std::vector<Fd>& layers, const std::string& target,
                          std::string options) {
  // Layers are named by descriptor: option strings end at a page, and paths may hold colons.
  options += "lowerdir=";
  for (const auto& layer : layers) {
    if (!options.ends_with('=')) options += ':';
    options += fmt::format("/proc/self/fd/{}", layer.Get());
  }
  return Checked(::mount("overlay", target.c_str(), "overlay", MS_RDONLY | MS_NOSUID | MS_NODEV,
                         options.c_str()),
                 "mount layers on " + target);
}

Result<void> OpenFolders(const std::vector<std::string>& folders, std::string_view what,
                         std::vector<Fd>& opened) {
  for (const auto& folder : folders) {
    opened.emplace_back(::open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
    if (!opened.back()) {
      return Fail(Code::kInvalid, ErrnoError(fmt::format("sandbox {} {}", what, folder)).message);
    }
  }
  return {};
}

}  // namespace

Result<std::vector<OpenMount>> OpenSources(const SandboxSpec& spec) {
  std::vector<OpenMount> opened;
  for (const auto& mount : spec.mounts) {
    OpenMount open{.mount = &mount, .tree = {}, .overlay = {}};
    if (mount.overlays.empty()) {
      open.tree = Fd(OpenTreeClone(mount.source.c_str()));
      if (!open.tree || SealMount(open.tree.Get()) != 0) {
        return Fail(Code::kInvalid, ErrnoError("sandbox mount source " + mount.source).message);
      }
    } else {
      TRY(OpenFolders({mount.overlays.rbegin(), mount.overlays.rend()}, "mount overlay",
                      open.overlay));
      TRY(OpenFolders({mount.source}, "mount source", open.overlay));
    }
    opened.push_back(std::move(open));
  }
  return opened;
}

Result<void> MountSources(const std::vector<OpenMount>& opened) {
  for (const auto& open : opened) {
    if (open.tree) {
      TRY(Checked(MoveMount(open.tree.Get(), open.mount->target.c_str()),
                  "mount " + open.mount->source + " on " + open.mount->target));
    } else {
      TRY(MountOverlay(open.overlay, open.mount->target, ""));
    }
  }
  return {};
}

Result<void> CoverWithImage(const std::string& root, const SandboxSpec& spec) {
  std::vector<Fd> layers;
  // Highest: folders of the platform's stay folders, whatever an image has in their place.
  TRY(OpenFolders({root + std::string(kOverImages)}, "image folder", layers));
  TRY(OpenFolders({spec.image.rbegin(), spec.image.rend()}, "image folder", layers));
  const Fd dev(OpenTreeClone((root + "/dev").c_str()));
  if (!dev) return std::unexpected(ErrnoError("clone the mount of /dev"));
  // The attributes of opaque folders are those that a server without privilege could write.
  TRY(MountOverlay(layers, root, "userxattr,"));
  return Checked(MoveMount(dev.Get(), (root + "/dev").c_str()), "mount /dev");
}

Result<void> CoverProc(const std::string& at, const std::string& null) {
  for (const char* name : {"kcore", "keys", "latency_stats", "timer_list", "sched_debug",
                           "sysrq-trigger", "kallsyms", "modules", "kmsg", "kpagecgroup"}) {
    std::string path = at + "/" + name;
    if (::mount(null.c_str(), path.c_str(), nullptr, MS_BIND, nullptr) != 0 && errno != ENOENT) {
      return std::unexpected(ErrnoError("cover " + path));
    }
  }
  for (const char* name : {"sys", "bus", "fs", "irq", "acpi", "scsi", "driver"}) {
    std::string path = at + "/" + name;
    Fd tree(OpenTreeClone(path.c_str()));
    if (!tree && errno == ENOENT) continue;
    if (!tree || SealMount(tree.Get()) != 0 || MoveMount(tree.Get(), path.c_str()) != 0) {
      return std::unexpected(ErrnoError(fmt::format("make {} read-only", path)));
    }
  }
  return {};
}

Result<void> MountTmpfs(const std::string& at, Bytes size) {
  // An inode costs kernel memory of about a kilobyte, which the hard limit has room for.
  auto options = fmt::format("size={},nr_inodes={},mode=700", size.count,
                             std::max<std::uint64_t>(1024, size.count / (16 << 10)));
  TRY(Checked(::mount("tmpfs", at.c_str(), "tmpfs", MS_NOSUID | MS_NODEV, options.c_str()),
              "mount a tmpfs"));
  for (const char* name : {"tmp", "shm"}) {
    std::string path = fmt::format("{}/{}", at, name);
    TRY(Checked(::mkdir(path.c_str(), 0755), "mkdir " + path));
    TRY(Checked(::chmod(path.c_str(), 01777), "chmod " + path));
  }
  return {};
}

}  // namespace samovar
