#include "store/unpack.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <memory>

#include "os/utf8_locale.h"
#include "store/tree_writer.h"
#include "store/zip_check.h"

namespace samovar {
namespace {

struct CloseArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};

class Unpacker {
 public:
  Unpacker(Fd root, const PackageOptions& options, KeptFiles* kept, bool times)
      : tree_(std::move(root), options, kept), options_(options), times_(times) {}

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
    return tree_.Finish();
  }

 private:
  Result<void> Take(archive* zip, archive_entry* entry) {
    const char* raw = archive_entry_pathname_utf8(entry);
    if (!raw) raw = archive_entry_pathname(entry);
    const std::string name = raw ? raw : "";
    if (archive_entry_is_encrypted(entry)) return RefuseEntry(name, "is encrypted");
    if (archive_entry_hardlink(entry)) return RefuseEntry(name, "is a hard link");
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        return tree_.AddDirectory(name);
      case AE_IFREG:
        return TakeFile(zip, entry, name);
      case AE_IFLNK: {
        const char* target = archive_entry_symlink_utf8(entry);
        if (!target) target = archive_entry_symlink(entry);
        const std::string text = target ? target : "";
        archive_read_data_skip(zip);
        return tree_.AddLink(name, text);
      }
      default:
        return RefuseEntry(name, "is neither a file, a directory nor a symlink");
    }
  }

  Result<void> TakeFile(archive* zip, archive_entry* entry, const std::string& name) {
    const bool timed = times_ && name.ends_with(".py") && archive_entry_mtime_is_set(entry);
    // A time of the format's first day says that there is none, in whatever zone it was written.
    const auto time = timed ? archive_entry_mtime(entry) : KeptFile::kNoTime;
    return tree_.AddFile(name, (archive_entry_perm(entry) & 0111) != 0,
                         time < KeptFile::kNoTime + 2 * 86400 ? KeptFile::kNoTime : time,
                         [&] { return Pull(zip, name); });
  }

  Result<std::string_view> Pull(archive* zip, const std::string& name) {
    buffer_.resize(kPiece);
    const auto n = archive_read_data(zip, buffer_.data(), buffer_.size());
    if (n < 0) return RefuseEntry(name, "is damaged");
    return std::string_view(buffer_.data(), static_cast<std::size_t>(n));
  }

  static constexpr std::size_t kPiece = 256 << 10;

  TreeWriter tree_;
  const PackageOptions& options_;
  const bool times_;
  std::string buffer_;
};

}  // namespace

Result<void> UnpackZip(const std::string& zip_path, const std::string& directory,
                       const PackageOptions& options, KeptFiles* kept) {
  Fd root(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!root) return std::unexpected(ErrnoError("unpack: open " + directory));
  TRY(const bool compiled, ZipHoldsSuffix(zip_path, ".pyc"));
  return Unpacker(std::move(root), options, kept, compiled).Run(zip_path);
}

}  // namespace samovar
