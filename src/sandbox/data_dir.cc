#include "sandbox/data_dir.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <ftw.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>
#include <thread>

namespace samovar {
namespace {

constexpr uid_t kServerUid = 64321;

// FNV-1a: a name that is the same in every life, unlike std::hash's.
std::uint64_t HashOf(std::string_view text) {
  std::uint64_t hash = 0xcbf29ce484222325;
  for (unsigned char c : text) hash = (hash ^ c) * 0x100000001b3;
  return hash;
}

bool MayPass(const struct stat& status, uid_t uid, gid_t gid) {
  if (status.st_uid == uid) return status.st_mode & S_IXUSR;
  if (status.st_gid == gid) return status.st_mode & S_IXGRP;
  return status.st_mode & S_IXOTH;
}

Result<void> CheckWay(const std::filesystem::path& path, uid_t uid, gid_t gid) {
  std::filesystem::path walked;
  for (const auto& part : path.parent_path()) {
    walked /= part;
    struct stat status{};
    if (::stat(walked.c_str(), &status) != 0) {
      return std::unexpected(ErrnoError("look at " + walked.string()));
    }
    if (MayPass(status, uid, gid)) continue;
    return Fail(
        Code::kDenied,
        fmt::format("data directory {}: the server runs as user {}, which cannot pass "
                    "through {} (mode {:o}); choose a data directory elsewhere, or let that "
                    "user through: chmod o+x {}",
                    path.string(), uid, walked.string(), status.st_mode & 07777, walked.string()));
  }
  return {};
}

bool LockWithin(int fd, std::chrono::milliseconds patience) {
  const auto until = std::chrono::steady_clock::now() + patience;
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (std::chrono::steady_clock::now() >= until) return false;
    std::this_thread::sleep_for(std::chrono::milliseconds(20));
  }
  return true;
}

uid_t g_new_uid;  // nftw() passes nothing on
gid_t g_new_gid;

Result<void> GiveTo(const std::string& path, uid_t uid, gid_t gid) {
  g_new_uid = uid;
  g_new_gid = gid;
  auto change = [](const char* name, const struct stat*, int, FTW*) {
    return ::lchown(name, g_new_uid, g_new_gid);
  };
  // Depth first, the top last: an interrupted change is begun again next time.
  if (::nftw(path.c_str(), change, 64, FTW_PHYS | FTW_DEPTH) != 0) {
    return std::unexpected(ErrnoError("change the owner of " + path));
  }
  return {};
}

}  // namespace

std::string DataDirName(const std::string& path) {
  return fmt::format("samovar-{:012x}", HashOf(path) & 0xffffffffffff);
}

Result<DataDir> OpenDataDir(const std::string& path, std::optional<uid_t> uid,
                            std::optional<gid_t> gid, std::chrono::milliseconds patience) {
  std::error_code failed;
  std::filesystem::create_directories(path, failed);
  if (failed) return std::unexpected(ErrnoError("make data directory " + path, failed.value()));
  auto canonical = std::filesystem::canonical(path, failed);
  if (failed) return std::unexpected(ErrnoError("data directory " + path, failed.value()));
  DataDir dir;
  dir.path = canonical.string();
  dir.name = DataDirName(dir.path);
  dir.lock = Fd(::open(dir.path.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat status{};
  if (!dir.lock || ::fstat(dir.lock.Get(), &status) != 0) {
    return std::unexpected(ErrnoError("data directory " + dir.path));
  }
  if (!LockWithin(dir.lock.Get(), patience)) {
    return Fail(Code::kConflict, "another server runs on data directory " + dir.path);
  }
  if (::geteuid() != 0) {
    dir.uid = ::geteuid();
    dir.gid = ::getegid();
    return dir;
  }
  bool owned = status.st_uid != 0;
  dir.uid = uid.value_or(owned ? status.st_uid : kServerUid);
  dir.gid = gid.value_or(uid ? static_cast<gid_t>(*uid) : owned ? status.st_gid : kServerUid);
  if (dir.uid == 0) return Fail(Code::kInvalid, "the server must not run as root: choose a user");
  TRY(CheckWay(canonical, dir.uid, dir.gid));
  if (status.st_uid != dir.uid) TRY(GiveTo(dir.path, dir.uid, dir.gid));
  return dir;
}

}  // namespace samovar
