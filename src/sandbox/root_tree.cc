#include "sandbox/root_tree.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <glob.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "os/linux.h"

namespace samovar {
namespace {

// A directory that every Linux has and in which no package or interpreter lies: the tree covers it
// in the spawner's namespace only.
constexpr const char* kPlace = "/sys/kernel";

constexpr const char* kHosts = "127.0.0.1 localhost sandbox sandbox.localdomain\n::1 localhost\n";
constexpr const char* kHostName = "sandbox\n";

Result<void> Mount(const char* type, const std::string& at, unsigned long flags,
                   const char* options) {
  if (::mount(type, at.c_str(), type, flags, options) == 0) return {};
  return std::unexpected(ErrnoError(fmt::format("mount {} on {}", type, at)));
}

Result<void> MakeDirAt(int base, const std::string& path) {
  if (::mkdirat(base, path.c_str(), 0755) == 0 || errno == EEXIST) return {};
  return std::unexpected(ErrnoError("mkdir " + path));
}

Result<void> WriteFileAt(int base, const std::string& path, std::string_view text) {
  Fd file(::openat(base, path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644));
  if (!file || ::write(file.Get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return std::unexpected(ErrnoError("write " + path));
  }
  return {};
}

Result<void> BindSealed(const std::string& source, const std::string& target) {
  Fd tree(OpenTreeClone(source.c_str()));
  if (!tree) return std::unexpected(ErrnoError("clone the mount of " + source));
  if (SealMount(tree.Get()) != 0) return std::unexpected(ErrnoError("seal the mount of " + source));
  if (MoveMount(tree.Get(), target.c_str()) != 0) {
    return std::unexpected(ErrnoError("mount " + source + " on " + target));
  }
  return {};
}

// A tmpfs on `path` and, over it, the same tmpfs read-only; the descriptor sees the writable one.
Result<Fd> CoverWithTmpfs(const std::string& path) {
  TRY(Mount("tmpfs", path, MS_NOSUID | MS_NODEV, "size=16m,mode=755"));
  Fd writable(::open(path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!writable) return std::unexpected(ErrnoError("open " + path));
  TRY(BindSealed(path, path));
  return writable;
}

Result<void> MakeSkeleton(int base) {
  for (const char* dir :
       {"usr", "etc", "etc/ssl", "etc/ssl/certs", "etc/alternatives", "dev", "proc", "tmp", "var",
        "var/task", "var/runtime", "var/lang", "opt", "home", "home/sbx_user1051", "run", "mnt"}) {
    TRY(MakeDirAt(base, dir));
  }
  for (const char* dir : {"", "/dev", "/proc", "/tmp", "/mnt", "/etc"}) {
    TRY(MakeDirAt(base, std::string(kOverImages + 1) + dir));
  }
  return {};
}

Result<void> BindIfThere(const std::string& source, int base, const std::string& target) {
  struct stat status{};
  if (::stat(source.c_str(), &status) != 0 || !S_ISDIR(status.st_mode)) return {};
  TRY(MakeDirAt(base, target));
  return BindSealed(source, std::string(kPlace) + "/" + target);
}

// /bin, /lib and so on: links where the host has links, else the directories themselves.
Result<void> AddTopLevel(int base) {
  for (const char* name : {"bin", "sbin", "lib", "lib32", "lib64", "libx32"}) {
    std::string source = std::string("/") + name;
    char link[256];
    ssize_t length = ::readlink(source.c_str(), link, sizeof link - 1);
    if (length > 0) {
      link[length] = '\0';
      if (::symlinkat(link, base, name) != 0) {
        return std::unexpected(ErrnoError("link " + source));
      }
    } else {
      TRY(BindIfThere(source, base, name));
    }
  }
  return {};
}

Result<void> AddEtc(int base) {
  std::string user = fmt::format("sbx_user1051:x:{}:{}::/home/sbx_user1051:/sbin/nologin\n",
                                 kInsideUid, kInsideGid);
  for (const auto& [name, text] : {std::pair{"hosts", kHosts}, std::pair{"hostname", kHostName},
                                   std::pair{"resolv.conf", ""}}) {
    TRY(WriteFileAt(base, fmt::format("{}/etc/{}", kOverImages + 1, name), text));
  }
  const std::pair<const char*, std::string> files[] = {
      {"passwd", "root:x:0:0:root:/root:/sbin/nologin\n" + user +
                     "nobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n"},
      {"group", fmt::format("root:x:0:\nsbx_user1051:x:{}:\nnogroup:x:65534:\n", kInsideGid)},
      {"hosts", kHosts},
      {"hostname", kHostName},
      {"nsswitch.conf",
       "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n"},
      {"resolv.conf", ""}};
  for (const auto& [name, text] : files) TRY(WriteFileAt(base, fmt::format("etc/{}", name), text));
  for (const char* name : {"ld.so.cache", "ld.so.conf", "services", "protocols", "mime.types",
                           "ssl/openssl.cnf", "gai.conf", "host.conf"}) {
    auto text = ReadSmallFile(fmt::format("/etc/{}", name));
    if (text) TRY(WriteFileAt(base, fmt::format("etc/{}", name), *text));
  }
  (void)::symlinkat("/usr/share/zoneinfo/Etc/UTC", base, "etc/localtime");  // as on Lambda
  (void)::symlinkat("../usr/lib/os-release", base, "etc/os-release");
  TRY(BindIfThere("/etc/ssl/certs", base, "etc/ssl/certs"));
  TRY(BindIfThere("/etc/alternatives", base, "etc/alternatives"));
  // Debian's interpreters keep their sitecustomize.py in /etc.
  glob_t found{};
  if (::glob("/etc/python3*", GLOB_ONLYDIR, nullptr, &found) == 0) {
    for (std::size_t i = 0; i < found.gl_pathc; ++i) {
      TRY(BindIfThere(found.gl_pathv[i], base, std::string(found.gl_pathv[i]).substr(1)));
    }
  }
  ::globfree(&found);
  return {};
}

Result<void> AddDev() {
  std::string dev = std::string(kPlace) + "/dev";
  TRY(Mount("tmpfs", dev, MS_NOSUID | MS_NOEXEC, "size=64k,mode=755"));
  const std::pair<const char*, int> devices[] = {
      {"null", 3}, {"zero", 5}, {"full", 7}, {"random", 8}, {"urandom", 9}};
  for (const auto& [name, minor] : devices) {
    std::string path = dev + "/" + name;
    if (::mknod(path.c_str(), S_IFCHR | 0666, makedev(1, static_cast<unsigned>(minor))) != 0 ||
        ::chmod(path.c_str(), 0666) != 0) {
      return std::unexpected(ErrnoError("make device " + path));
    }
  }
  const std::pair<const char*, const char*> links[] = {{"/proc/self/fd", "fd"},
                                                       {"/proc/self/fd/0", "stdin"},
                                                       {"/proc/self/fd/1", "stdout"},
                                                       {"/proc/self/fd/2", "stderr"}};
  for (const auto& [to, name] : links) (void)::symlink(to, (dev + "/" + name).c_str());
  if (::mkdir((dev + "/shm").c_str(), 01777) != 0) return std::unexpected(ErrnoError("mkdir shm"));
  if (::mount(nullptr, dev.c_str(), nullptr,
              MS_REMOUNT | MS_BIND | MS_RDONLY | MS_NOSUID | MS_NOEXEC, nullptr) != 0) {
    return std::unexpected(ErrnoError("make /dev read-only"));
  }
  return {};
}

bool Within(const std::string& path, std::string_view top) {
  return path == top || (path.starts_with(top) && path[top.size()] == '/');
}

}  // namespace

Result<RootTree> RootTree::Build() {
  if (::unshare(CLONE_NEWNS) != 0) return std::unexpected(ErrnoError("unshare mounts"));
  // The host's later mounts are seen here; none of ours is seen there.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    return std::unexpected(ErrnoError("make / a slave mount"));
  }
  mode_t old_mask = ::umask(022);
  RootTree tree;
  tree.path_ = kPlace;
  TRY(tree.writable_, CoverWithTmpfs(kPlace));
  int base = tree.writable_.Get();
  TRY(MakeSkeleton(base));
  TRY(BindSealed("/usr", tree.path_ + "/usr"));
  TRY(AddTopLevel(base));
  TRY(AddEtc(base));
  TRY(AddDev());
  struct stat status{};
  if (::stat("/usr/local", &status) == 0) {
    TRY(tree.writable_local_, CoverWithTmpfs(tree.path_ + "/usr/local"));
  }
  if (::stat("/usr/src", &status) == 0) {
    TRY(Mount("tmpfs", tree.path_ + "/usr/src", MS_NOSUID | MS_NODEV | MS_RDONLY, "size=4k"));
  }
  ::umask(old_mask);
  return tree;
}

Result<void> RootTree::MakeMountPointOverImages(const std::string& target, bool directory) {
  return MakeMountPoint(kOverImages + target, directory);
}

Result<void> RootTree::MakeMountPoint(const std::string& target, bool directory) {
  if (made_.contains(target)) return {};
  struct stat status{};
  int base = writable_.Get();
  std::string rest = target;
  if (Within(target, "/usr/local") && writable_local_) {
    base = writable_local_.Get();
    rest = target.substr(std::string_view("/usr/local").size());
  } else if (Within(target, "/usr") || Within(target, "/bin") || Within(target, "/sbin") ||
             target.starts_with("/lib")) {
    if (::stat((path_ + target).c_str(), &status) == 0) return {};
    return Fail(Code::kInvalid, "sandbox mount target " + target + ": not there on this host");
  }
  std::string done;
  for (std::size_t at = 0; at < rest.size();) {
    std::size_t begin = rest.find_first_not_of('/', at);
    if (begin == std::string::npos) break;
    std::size_t end = std::min(rest.find('/', begin), rest.size());
    done += (done.empty() ? "" : "/") + rest.substr(begin, end - begin);
    bool last = rest.find_first_not_of('/', end) == std::string::npos;
    if (!last || directory) {
      TRY(MakeDirAt(base, done));
    } else if (::fstatat(base, done.c_str(), &status, AT_SYMLINK_NOFOLLOW) != 0) {
      TRY(WriteFileAt(base, done, ""));
    }
    at = end;
  }
  made_.insert(target);
  return {};
}

}  // namespace samovar
