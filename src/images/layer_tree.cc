#include "images/layer_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <fmt/ranges.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>

namespace samovar {
namespace {

constexpr std::size_t kMaxName = 255;

std::unexpected<Error> Refuse(std::string_view name, std::string_view why) {
  return Fail(Code::kInvalid, fmt::format("entry '{}' {}", name.substr(0, 200), why));
}

std::unexpected<Error> Failed(const LayerTree::Path& path, std::string_view what) {
  return std::unexpected(ErrnoError(fmt::format("{} {}", what, ShowPath(path))));
}

bool IsWhiteout(const struct stat& status) {
  return S_ISCHR(status.st_mode) && status.st_rdev == makedev(0, 0);
}

}  // namespace

std::string ShowPath(const LayerTree::Path& path) {
  return fmt::format("{}", fmt::join(path, "/")).substr(0, 200);
}

Result<LayerTree::Path> LayerTree::Split(std::string_view name) {
  Path path;
  for (std::size_t at = 0; at < name.size();) {
    const std::size_t end = std::min(name.find('/', at), name.size());
    const auto part = name.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return Refuse(name, "leaves the image by '..'");
    if (part.find('\0') != part.npos) return Refuse(name, "has a NUL in its name");
    if (part.size() > kMaxName) return Refuse(name, "has too long a name");
    path.emplace_back(part);
  }
  return path;
}

// Links on the way are followed, as programs in the image would follow them, and no further than
// the folder.
Result<Fd> LayerTree::OpenFolder(const std::string& path) {
  open_how how{};
  how.flags = O_RDONLY | O_DIRECTORY | O_CLOEXEC;
  how.resolve = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS;
  Fd folder(static_cast<int>(
      ::syscall(SYS_openat2, root_, path.empty() ? "." : path.c_str(), &how, sizeof how)));
  if (!folder) return std::unexpected(ErrnoError("open " + path.substr(0, 200)));
  return folder;
}

Result<Fd> LayerTree::Parent(const Path& path) {
  std::string walked;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) walked += (i ? "/" : "") + path[i];
  if (auto whole = OpenFolder(walked)) return whole;
  walked.clear();
  TRY(Fd at, OpenFolder(walked));
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    walked += (i ? "/" : "") + path[i];
    if (auto next = OpenFolder(walked)) {
      at = std::move(*next);
      continue;
    }
    struct stat status{};
    if (::fstatat(at.Get(), path[i].c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
      if (!IsWhiteout(status)) return Refuse(ShowPath(path), "lies under what is no folder");
      TRY(MakeFolder(Path(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(i) + 1)));
    } else if (::mkdirat(at.Get(), path[i].c_str(), 0755) != 0 ||
               ::fchmodat(at.Get(), path[i].c_str(), 0755, 0) != 0) {
      return Failed(path, "make a folder for");
    }
    TRY(at, OpenFolder(walked));
  }
  return at;
}

// Takes away what is there, for another thing of that name.
Result<void> LayerTree::MakeRoom(int parent, const Path& path) {
  if (::unlinkat(parent, path.back().c_str(), 0) == 0 || errno == ENOENT) return {};
  if (errno == EISDIR || errno == EPERM) {
    if (::unlinkat(parent, path.back().c_str(), AT_REMOVEDIR) == 0) return {};
    return Refuse(ShowPath(path), "would replace a folder of its own layer");
  }
  return Failed(path, "replace");
}

Result<void> LayerTree::MakeFolder(const Path& path) {
  if (path.empty()) return {};
  TRY(const Fd parent, Parent(path));
  const char* name = path.back().c_str();
  struct stat status{};
  const bool there = ::fstatat(parent.Get(), name, &status, AT_SYMLINK_NOFOLLOW) == 0;
  if (there && S_ISDIR(status.st_mode)) return {};
  const bool hides = there && IsWhiteout(status);
  if (there) TRY(MakeRoom(parent.Get(), path));
  if (::mkdirat(parent.Get(), name, 0755) != 0 || ::fchmodat(parent.Get(), name, 0755, 0) != 0) {
    return Failed(path, "make the folder");
  }
  return hides ? RemoveBelow(path) : Result<void>();
}

Result<Fd> LayerTree::MakeFile(const Path& path) {
  if (path.empty()) return Refuse("/", "is no folder");
  TRY(const Fd parent, Parent(path));
  TRY(MakeRoom(parent.Get(), path));
  Fd file(::openat(parent.Get(), path.back().c_str(),
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0644));
  if (!file) return Failed(path, "make");
  return file;
}

Result<void> LayerTree::MakeSymlink(const Path& path, const std::string& target) {
  if (path.empty() || target.empty()) return Refuse(ShowPath(path), "is a link to nothing");
  TRY(const Fd parent, Parent(path));
  TRY(MakeRoom(parent.Get(), path));
  if (::symlinkat(target.c_str(), parent.Get(), path.back().c_str()) != 0) {
    return Failed(path, "make the link");
  }
  return {};
}

Result<void> LayerTree::MakeHardLink(const Path& path, const Path& target) {
  if (path.empty() || target.empty()) return Refuse(ShowPath(path), "is a hard link to a folder");
  if (path == target) return {};
  TRY(const Fd from, Parent(target));
  struct stat status{};
  if (::fstatat(from.Get(), target.back().c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0 ||
      !(S_ISREG(status.st_mode) || S_ISLNK(status.st_mode))) {
    return Refuse(ShowPath(path), fmt::format("is a hard link to '{}', which is not in its layer",
                                              ShowPath(target)));
  }
  TRY(const Fd parent, Parent(path));
  TRY(MakeRoom(parent.Get(), path));
  if (::linkat(from.Get(), target.back().c_str(), parent.Get(), path.back().c_str(), 0) != 0) {
    return Failed(path, "make the hard link");
  }
  return {};
}

bool LayerTree::Hides(const Path& path) const {
  std::string walked;
  for (std::size_t i = 0; i + 1 < path.size(); ++i) {
    walked += (i ? "/" : "") + path[i];
    struct stat status{};
    if (::fstatat(root_, walked.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) return false;
    if (!S_ISDIR(status.st_mode)) return true;
  }
  return false;
}

Result<void> LayerTree::Remove(const Path& path) {
  TRY(const Fd parent, Parent(path));
  struct stat status{};
  if (::fstatat(parent.Get(), path.back().c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0) {
    // This layer has it anew: only what lies below is meant.
    return S_ISDIR(status.st_mode) ? RemoveBelow(path) : Result<void>();
  }
  if (::mknodat(parent.Get(), path.back().c_str(), S_IFCHR, makedev(0, 0)) != 0) {
    return Failed(path, "mark as removed");
  }
  return {};
}

Result<void> LayerTree::RemoveBelow(const Path& path) {
  TRY(MakeFolder(path));
  Path inside = path;
  inside.emplace_back(".");
  TRY(const Fd folder, Parent(inside));
  if (::fsetxattr(folder.Get(), "user.overlay.opaque", "y", 1, 0) != 0) {
    return Failed(path, "the file system of the data directory must keep user attributes: mark");
  }
  return {};
}

}  // namespace samovar
