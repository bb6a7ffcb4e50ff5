#include "main/zip_folder.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <map>
#include <memory>
#include <sstream>
#include <system_error>

#include "main/ignore_rules.h"
#include "os/fd.h"
#include "wire/sigv4.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

constexpr std::size_t kChunk = std::size_t{256} << 10;

std::string ReadIfThere(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

class Lister {
 public:
  Result<void> Add(const ZipRoot& root) {
    std::error_code error;
    if (!fs::is_directory(root.folder, error)) {
      return Fail(Code::kInvalid, fmt::format("{}: no such folder", root.folder));
    }
    base_ = fs::path(root.folder);
    prefix_ = root.prefix;
    if (!root.only_file.empty()) return One(base_ / root.only_file, root.only_file);
    const IgnoreRules rules(root.filter ? ReadIfThere(base_ / ".samignore") : std::string());
    return Walk(base_, "", root.filter ? &rules : nullptr, 0);
  }

  FolderListing Take() {
    FolderListing listing;
    Sha256 hash;
    for (auto& [path, found] : entries_) {
      hash.Update(found.mark);
      listing.total += found.entry.size;
      found.entry.mark = std::move(found.mark);
      listing.entries.push_back(std::move(found.entry));
    }
    listing.fingerprint = hash.HexDigest();
    return listing;
  }

 private:
  struct Found {
    ZipEntry entry;
    std::string mark;
  };

  Result<void> Walk(const fs::path& folder, const std::string& relative, const IgnoreRules* rules,
                    int depth) {
    if (depth > 100) return Fail(Code::kInvalid, folder.string() + ": nested too deeply");
    std::error_code error;
    for (fs::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
      const std::string name = it->path().filename();
      const std::string path = relative.empty() ? name : relative + "/" + name;
      std::error_code ignored;
      const bool is_folder = !it->is_symlink(ignored) && it->is_directory(ignored);
      if (rules != nullptr && rules->Ignored(path, is_folder)) continue;
      if (is_folder) {
        TRY(Walk(it->path(), path, rules, depth + 1));
      } else {
        TRY(One(it->path(), path));
      }
    }
    if (error) return Fail(Code::kInvalid, folder.string() + ": " + error.message());
    return {};
  }

  Result<void> One(const fs::path& source, const std::string& relative) {
    struct stat info{};
    if (lstat(source.c_str(), &info) != 0) {
      return Fail(Code::kInvalid, ErrnoError(source.string()).message);
    }
    ZipEntry entry{.path = prefix_ + relative,
                   .source = source,
                   .link = S_ISLNK(info.st_mode),
                   .executable = (info.st_mode & S_IXUSR) != 0,
                   .size = S_ISREG(info.st_mode) ? static_cast<std::uint64_t>(info.st_size) : 0};
    if (!entry.link && !S_ISREG(info.st_mode)) {
      return Fail(Code::kInvalid, fmt::format("{}: neither a file, a folder nor a link; leave it "
                                              "out with .samignore",
                                              source.string()));
    }
    if (entry.link) TRY(CheckLink(source));
    std::string mark =
        fmt::format("{}\n{} {} {} {} {} {}.{} {}.{}\n", entry.path, entry.link, entry.executable,
                    info.st_size, info.st_dev, info.st_ino, info.st_mtim.tv_sec,
                    info.st_mtim.tv_nsec, info.st_ctim.tv_sec, info.st_ctim.tv_nsec);
    std::string path = entry.path;
    entries_[std::move(path)] = {std::move(entry), std::move(mark)};
    return {};
  }

  Result<void> CheckLink(const fs::path& source) const {
    std::error_code error;
    const fs::path target = fs::read_symlink(source, error);
    const fs::path inside = (source.parent_path() / target).lexically_relative(base_);
    if (error || target.is_absolute() || inside.empty() || *inside.begin() == "..") {
      return Fail(Code::kInvalid, fmt::format("{}: a link out of the folder (to {})",
                                              source.string(), target.string()));
    }
    return {};
  }

  fs::path base_;
  std::string prefix_;
  std::map<std::string, Found> entries_;
};

// The archive's bytes on their way to the file.
struct Sink {
  Fd file;
  Sha256 hash;
  std::uint64_t size = 0;
  int error = 0;
};

la_ssize_t WriteToSink(archive* /*archive*/, void* data, const void* bytes, std::size_t size) {
  auto* sink = static_cast<Sink*>(data);
  const char* at = static_cast<const char*>(bytes);
  std::size_t left = size;
  while (left > 0) {
    const ssize_t n = write(sink->file.Get(), at, left);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      sink->error = errno;
      return -1;
    }
    at += n;
    left -= static_cast<std::size_t>(n);
  }
  sink->hash.Update({static_cast<const char*>(bytes), size});
  sink->size += size;
  return static_cast<la_ssize_t>(size);
}

class Zipper {
 public:
  Zipper(Sink& sink, int level)
      : sink_(sink), level_(level), archive_(archive_write_new(), archive_write_free) {}

  Result<void> Open() {
    // Level 1 by default: a faster deployment is worth the bytes.
    const std::string level = fmt::format("compression-level={}", level_);
    if (archive_write_set_format_zip(archive_.get()) != ARCHIVE_OK ||
        archive_write_set_options(archive_.get(), level.c_str()) != ARCHIVE_OK ||
        archive_write_set_bytes_per_block(archive_.get(), static_cast<int>(kChunk)) != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(archive_.get(), 1) != ARCHIVE_OK ||
        archive_write_open(archive_.get(), &sink_, nullptr, WriteToSink, nullptr) != ARCHIVE_OK) {
      return Broken("cannot begin a zip");
    }
    return {};
  }

  Result<void> Add(const ZipEntry& entry, const std::function<void(std::uint64_t)>& on_progress) {
    std::unique_ptr<archive_entry, void (*)(archive_entry*)> header(archive_entry_new(),
                                                                    archive_entry_free);
    // No time is set: the format's least, 1980-01-01, stands for all of them in every time zone.
    archive_entry_set_pathname(header.get(), entry.path.c_str());
    if (entry.link) {
      std::error_code error;
      const std::string target = fs::read_symlink(entry.source, error);
      if (error) return Fail(Code::kInvalid, entry.source + ": " + error.message());
      archive_entry_set_mode(header.get(), AE_IFLNK | 0777);
      archive_entry_set_symlink(header.get(), target.c_str());
      archive_entry_set_size(header.get(), 0);
    } else {
      archive_entry_set_mode(header.get(), AE_IFREG | (entry.executable ? 0755 : 0644));
      archive_entry_set_size(header.get(), static_cast<la_int64_t>(entry.size));
    }
    if (archive_write_header(archive_.get(), header.get()) != ARCHIVE_OK) {
      return Broken(entry.path);
    }
    return entry.link ? Result<void>() : Copy(entry, on_progress);
  }

  Result<void> Close() {
    if (archive_write_close(archive_.get()) != ARCHIVE_OK) return Broken("cannot end the zip");
    return {};
  }

 private:
  Result<void> Copy(const ZipEntry& entry, const std::function<void(std::uint64_t)>& on_progress) {
    const Fd file(open(entry.source.c_str(), O_RDONLY | O_CLOEXEC));
    if (!file) return Fail(Code::kInvalid, ErrnoError(entry.source).message);
    std::uint64_t left = entry.size;
    while (left > 0) {
      const ssize_t n = read(file.Get(), buffer_.data(), std::min<std::uint64_t>(kChunk, left));
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return Fail(Code::kInvalid, ErrnoError(entry.source).message);
      if (n == 0) return Fail(Code::kInvalid, entry.source + ": became shorter while it was read");
      if (archive_write_data(archive_.get(), buffer_.data(), static_cast<std::size_t>(n)) != n) {
        return Broken(entry.path);
      }
      left -= static_cast<std::uint64_t>(n);
      done_ += static_cast<std::uint64_t>(n);
      if (on_progress) on_progress(done_);
    }
    return {};
  }

  std::unexpected<Error> Broken(const std::string& what) const {
    if (sink_.error != 0) return std::unexpected(ErrnoError("cannot write the zip", sink_.error));
    const char* why = archive_error_string(archive_.get());
    return Fail(Code::kInvalid, what + ": " + (why == nullptr ? "not possible in a zip" : why));
  }

  Sink& sink_;
  const int level_;
  std::unique_ptr<archive, int (*)(archive*)> archive_;
  std::string buffer_ = std::string(kChunk, '\0');
  std::uint64_t done_ = 0;
};

}  // namespace

Result<FolderListing> ListFolders(const std::vector<ZipRoot>& roots) {
  Lister lister;
  for (const ZipRoot& root : roots) TRY(lister.Add(root));
  return lister.Take();
}

Result<ZipResult> WriteZip(const FolderListing& listing, const std::string& target,
                           const std::function<void(std::uint64_t done)>& on_progress, int level) {
  Sink sink;
  sink.file = Fd(open(target.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!sink.file) return Fail(Code::kInvalid, ErrnoError("cannot write " + target).message);
  Zipper zipper(sink, level);
  TRY(zipper.Open());
  for (const ZipEntry& entry : listing.entries) TRY(zipper.Add(entry, on_progress));
  TRY(zipper.Close());
  return ZipResult{.sha256 = sink.hash.HexDigest(), .size = sink.size};
}

Result<ZipResult> HashFile(const std::string& path) {
  const Fd file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return Fail(Code::kInvalid, ErrnoError(path).message);
  Sha256 hash;
  std::uint64_t size = 0;
  std::string buffer(kChunk, '\0');
  for (;;) {
    const ssize_t n = read(file.Get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return Fail(Code::kInvalid, ErrnoError(path).message);
    if (n == 0) return ZipResult{.sha256 = hash.HexDigest(), .size = size};
    hash.Update({buffer.data(), static_cast<std::size_t>(n)});
    size += static_cast<std::uint64_t>(n);
  }
}

}  // namespace samovar
