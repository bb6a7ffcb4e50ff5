#include "store/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <linux/openat2.h>
#include <locale.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <memory>
#include <vector>

#include "os/fd.h"
#include "store/entry_path.h"
#include "store/zip_check.h"

namespace samovar {
namespace {

// Up to this many files are synced one by one; above, the whole file system once.
constexpr std::size_t kSyncEach = 64;

std::unexpected<Error> Refuse(std::string_view name, std::string_view why) {
  return Fail(
      Code::kInvalid,
      fmt::format("Could not unzip uploaded file: entry '{}' {}.", name.substr(0, 200), why),
      "InvalidParameterValueException");
}

// UTF-8 names, whatever locale the process runs in.
class Utf8Locale {
 public:
  Utf8Locale()
      : locale_(newlocale(LC_CTYPE_MASK, "C.UTF-8", nullptr)),
        before_(locale_ ? uselocale(locale_) : nullptr) {}
  ~Utf8Locale() {
    if (before_) uselocale(before_);
    if (locale_) freelocale(locale_);
  }
  Utf8Locale(const Utf8Locale&) = delete;
  Utf8Locale& operator=(const Utf8Locale&) = delete;

 private:
  locale_t locale_;
  locale_t before_;
};

struct CloseArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

class Unpacker {
 public:
  Unpacker(Fd root, const PackageOptions& options) : root_(std::move(root)), options_(options) {}

  Result<void> Run(const std::string& zip_path) {
    const Utf8Locale locale;
    const std::unique_ptr<archive, CloseArchive> zip(archive_read_new());
    if (!zip) return Fail(Code::kUnavailable, "unpack: no memory");
    archive_read_support_format_zip_seekable(zip.get());
    if (archive_read_open_filename(zip.get(), zip_path.c_str(), 1 << 18) != ARCHIVE_OK) {
      return std::unexpected(BadZip());
    }
    for (std::uint64_t entries = 0;; ++entries) {
      archive_entry* entry = nullptr;
      const int status = archive_read_next_header(zip.get(), &entry);
      if (status == ARCHIVE_EOF) {
        if (entries == 0) return std::unexpected(BadZip());
        break;
      }
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return std::unexpected(BadZip());
      if (entries >= options_.max_files) {
        return Fail(Code::kTooLarge,
                    fmt::format("The package has more than {} files.", options_.max_files),
                    "InvalidParameterValueException");
      }
      TRY(Take(zip.get(), entry));
    }
    TRY(MakeLinks());
    return Sync();
  }

 private:
  struct Link {
    std::vector<std::string> path;
    std::string target;
  };

  Result<void> Take(archive* zip, archive_entry* entry) {
    const char* raw = archive_entry_pathname_utf8(entry);
    if (!raw) raw = archive_entry_pathname(entry);
    const std::string name = raw ? raw : "";
    TRY(auto path, SplitEntryPath(name));
    if (archive_entry_is_encrypted(entry)) return Refuse(name, "is encrypted");
    if (archive_entry_hardlink(entry)) return Refuse(name, "is a hard link");
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR: {
        TRY(auto made, MakeDirectories(name, path, path.size()));
        return {};
      }
      case AE_IFREG:
        return TakeFile(zip, entry, name, path);
      case AE_IFLNK:
        return TakeLink(zip, entry, name, std::move(path));
      default:
        return Refuse(name, "is neither a file, a directory nor a symlink");
    }
  }

  // Opens the directory of the first `count` components, making those that are missing.
  Result<Fd> MakeDirectories(const std::string& name, const std::vector<std::string>& path,
                             std::size_t count) {
    int at = root_.Get();
    Fd held;
    for (std::size_t i = 0; i < count; ++i) {
      if (mkdirat(at, path[i].c_str(), 0755) == 0) {
        fchmodat(at, path[i].c_str(), 0755, 0);  // whatever the umask
        if (++directories_ > options_.max_files) {
          return Fail(Code::kTooLarge,
                      fmt::format("The package has more than {} files.", options_.max_files),
                      "InvalidParameterValueException");
        }
      } else if (errno != EEXIST) {
        return std::unexpected(ErrnoError("unpack: make a directory"));
      }
      Fd next(openat(at, path[i].c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
      if (!next) {
        if (errno == ENOTDIR || errno == ELOOP) return Refuse(name, "lies under a file");
        return std::unexpected(ErrnoError("unpack: open a directory"));
      }
      held = std::move(next);
      at = held.Get();
    }
    if (held) return held;
    return Fd(fcntl(root_.Get(), F_DUPFD_CLOEXEC, 3));
  }

  Result<void> TakeFile(archive* zip, archive_entry* entry, const std::string& name,
                        const std::vector<std::string>& path) {
    if (path.empty()) return Refuse(name, "has no name");
    TRY(const auto parent, MakeDirectories(name, path, path.size() - 1));
    const mode_t mode = archive_entry_perm(entry) & 0111 ? 0755 : 0644;
    Fd file(openat(parent.Get(), path.back().c_str(),
                   O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode));
    if (!file) {
      if (errno == EEXIST) return Refuse(name, "is in the package twice");
      return std::unexpected(ErrnoError("unpack: create a file"));
    }
    TRY(CopyData(zip, name, file.Get()));
    if (fchmod(file.Get(), mode) != 0) return std::unexpected(ErrnoError("unpack: chmod"));
    if (archive_entry_mtime_is_set(entry)) {
      const timespec at{archive_entry_mtime(entry), 0};
      const timespec times[2] = {at, at};
      futimens(file.Get(), times);  // a time that the file system cannot hold is no reason to fail
    }
    if (++files_ <= kSyncEach && fsync(file.Get()) != 0) {
      return std::unexpected(ErrnoError("unpack: sync a file"));
    }
    return {};
  }

  Result<void> CopyData(archive* zip, const std::string& name, int file) {
    for (;;) {
      const void* block = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int status = archive_read_data_block(zip, &block, &size, &offset);
      if (status == ARCHIVE_EOF) return {};
      if (status != ARCHIVE_OK) return Refuse(name, "is damaged");
      unpacked_ += size;
      if (unpacked_ > options_.max_unpacked.count ||
          static_cast<std::uint64_t>(offset) > options_.max_unpacked.count) {
        return Fail(
            Code::kTooLarge,
            fmt::format("Unzipped size must be smaller than {} bytes", options_.max_unpacked.count),
            "InvalidParameterValueException");
      }
      const char* bytes = static_cast<const char*>(block);
      while (size > 0) {
        const auto n = pwrite(file, bytes, size, offset);
        if (n < 0 && errno == EINTR) continue;
        if (n <= 0) return std::unexpected(ErrnoError("unpack: write a file"));
        bytes += n;
        offset += n;
        size -= static_cast<std::size_t>(n);
      }
    }
  }

  Result<void> TakeLink(archive* zip, archive_entry* entry, const std::string& name,
                        std::vector<std::string> path) {
    const char* raw = archive_entry_symlink_utf8(entry);
    if (!raw) raw = archive_entry_symlink(entry);
    const std::string target = raw ? raw : "";
    archive_read_data_skip(zip);
    if (path.empty() || !LinkStaysInside(path, target)) {
      return Refuse(name, "is a symlink that leaves the package");
    }
    links_.push_back({std::move(path), target});
    return {};
  }

  Result<void> MakeLinks() {
    for (const auto& link : links_) {
      const auto name = fmt::format("{}", fmt::join(link.path, "/"));
      TRY(const auto parent, MakeParentOfLink(name, link));
      if (symlinkat(link.target.c_str(), parent.Get(), link.path.back().c_str()) != 0) {
        if (errno == EEXIST) return Refuse(name, "is in the package twice");
        return std::unexpected(ErrnoError("unpack: make a symlink"));
      }
    }
    // A chain of links may lead out though each seems to stay: let the kernel walk them.
    for (const auto& link : links_) {
      const auto name = fmt::format("{}", fmt::join(link.path, "/"));
      open_how how{};
      how.flags = O_PATH | O_CLOEXEC;
      how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
      const Fd end(
          static_cast<int>(syscall(SYS_openat2, root_.Get(), name.c_str(), &how, sizeof how)));
      if (!end && errno != ENOENT && errno != ENOTDIR && errno != ELOOP) {
        return Refuse(name, "is a symlink that leaves the package");
      }
    }
    return {};
  }

  // Directories on the way to a link are real ones: a link through another link is refused.
  Result<Fd> MakeParentOfLink(const std::string& name, const Link& link) {
    return MakeDirectories(name, link.path, link.path.size() - 1);
  }

  Result<void> Sync() {
    const bool few = files_ <= kSyncEach && directories_ == 0;
    if ((few ? fsync(root_.Get()) : syncfs(root_.Get())) != 0) {
      return std::unexpected(ErrnoError("unpack: sync"));
    }
    return {};
  }

  Fd root_;
  const PackageOptions& options_;
  std::vector<Link> links_;
  std::uint64_t unpacked_ = 0;
  std::size_t files_ = 0;
  std::size_t directories_ = 0;
};

}  // namespace

Result<void> UnpackZip(const std::string& zip_path, const std::string& directory,
                       const PackageOptions& options) {
  Fd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return std::unexpected(ErrnoError("unpack: open " + directory));
  return Unpacker(std::move(root), options).Run(zip_path);
}

}  // namespace samovar
