#include "store/kept_files.h"

#include <dirent.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <memory>
#include <system_error>

#include "base/ids.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr auto kPromise = std::chrono::hours(1);
constexpr std::string_view kHex = "0123456789abcdef";

struct CloseDir {
  void operator()(DIR* dir) const { closedir(dir); }
};

// What is linked must have the size that its content had: a disk that lost it is found here.
bool HasSize(int dir, const char* name, std::uint64_t size) {
  struct stat about{};
  return fstatat(dir, name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(about.st_mode) &&
         static_cast<std::uint64_t>(about.st_size) == size;
}

}  // namespace

std::string KeptFile::Name() const {
  std::string name = hash.substr(0, 2) + "/" + hash.substr(2);
  if (executable) name += ".x";
  if (time != kNoTime) name += fmt::format(".{}", time);
  return name;
}

Result<void> KeptFiles::Open() {
  std::error_code failed;
  fs::create_directories(directory_, failed);
  if (failed) return std::unexpected(ErrnoError("create " + directory_, failed.value()));
  root_ = Fd(open(directory_.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root_) return std::unexpected(ErrnoError("open " + directory_));
  // What a replacement that was cut off left behind.
  fs::remove_all(directory_ + "/replacing", failed);
  if (mkdirat(root_.Get(), "replacing", 0755) != 0) {
    return std::unexpected(ErrnoError("create a folder in " + directory_));
  }
  return {};
}

bool KeptFiles::LinkTo(const KeptFile& file, int dir, const char* name) {
  const auto kept = file.Name();
  if (linkat(root_.Get(), kept.c_str(), dir, name, 0) != 0) {
    // A full inode: the next file of that content takes its name over.
    if (errno == EMLINK) unlinkat(root_.Get(), kept.c_str(), 0);
    return false;
  }
  if (HasSize(dir, name, file.size)) return true;
  unlinkat(dir, name, 0);
  unlinkat(root_.Get(), kept.c_str(), 0);
  return false;
}

bool KeptFiles::Replace(const KeptFile& file, int dir, const char* name) {
  const auto between = "replacing/" + RandomHex(32);
  if (!LinkTo(file, root_.Get(), between.c_str())) return false;
  const bool done = renameat(root_.Get(), between.c_str(), dir, name) == 0;
  unlinkat(root_.Get(), between.c_str(), 0);  // there still where both were the same file
  return done;
}

void KeptFiles::Take(const KeptFile& file, int dir, const char* name) {
  const auto kept = file.Name();
  // One that is there already stays.
  if (linkat(dir, name, root_.Get(), kept.c_str(), 0) == 0 || errno != ENOENT) return;
  mkdirat(root_.Get(), kept.substr(0, 2).c_str(), 0755);
  linkat(dir, name, root_.Get(), kept.c_str(), 0);
}

bool KeptFiles::Has(const KeptFile& file) {
  const auto name = file.Name();
  Promise(name);  // before the look: a sweep must not come between
  return HasSize(root_.Get(), name.c_str(), file.size);
}

void KeptFiles::Promise(const std::string& name) {
  const std::lock_guard lock(mutex_);
  promised_[name] = Clock::now() + kPromise;
}

bool KeptFiles::Promised(const std::string& name) {
  const std::lock_guard lock(mutex_);
  return promised_.contains(name);
}

template <class Visit>
Result<void> KeptFiles::Walk(Visit visit) {
  for (const char a : kHex) {
    for (const char b : kHex) {
      const std::string folder{a, b};
      const int fd = openat(root_.Get(), folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
      if (fd < 0 && errno == ENOENT) continue;
      const std::unique_ptr<DIR, CloseDir> dir(fd < 0 ? nullptr : fdopendir(fd));
      if (!dir) return std::unexpected(ErrnoError("list " + directory_ + "/" + folder));
      while (const dirent* entry = readdir(dir.get())) {
        struct stat about{};
        if (fstatat(fd, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(about.st_mode))
          visit(fd, entry->d_name, about, folder + "/" + entry->d_name);
      }
    }
  }
  return {};
}

Result<Bytes> KeptFiles::Sweep(bool all) {
  {
    const std::lock_guard lock(mutex_);
    std::erase_if(promised_, [&](const auto& one) { return all || one.second < Clock::now(); });
  }
  Bytes removed;
  TRY(Walk([&](int dir, const char* file, const struct stat& about, const std::string& name) {
    // A tree that links it between this look and the removal keeps it, and merely shares it not.
    if (about.st_nlink > 1 || Promised(name) || unlinkat(dir, file, 0) != 0) return;
    removed = removed + Bytes{static_cast<std::uint64_t>(about.st_size)};
  }));
  return removed;
}

Result<KeptUsage> KeptFiles::Usage() {
  KeptUsage usage;
  TRY(Walk([&](int, const char*, const struct stat& about, const std::string&) {
    const auto size = static_cast<std::uint64_t>(about.st_size);
    ++usage.files;
    usage.size.count += size;
    if (about.st_nlink == 1) usage.unused.count += size;
    usage.without_store.count += size * (about.st_nlink - 1);
  }));
  return usage;
}

}  // namespace samovar
