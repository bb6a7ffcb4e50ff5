#include "store/package_zip.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <vector>

#include "os/fd.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kPiece = 256 << 10;

la_ssize_t Append(archive* /*archive*/, void* out, const void* bytes, std::size_t size) {
  static_cast<std::string*>(out)->append(static_cast<const char*>(bytes), size);
  return static_cast<la_ssize_t>(size);
}

std::unexpected<Error> Broken(const std::string& what) {
  return Fail(Code::kUnavailable, "read the package: " + what);
}

}  // namespace

struct PackageZip::State {
  explicit State(const std::string& folder) : tree(folder) {}

  Result<void> Open() {
    opened = true;
    std::error_code failed;
    for (fs::recursive_directory_iterator at(tree, failed), end; !failed && at != end;
         at.increment(failed)) {
      if (at->is_symlink() || !at->is_directory()) {
        paths.push_back(at->path().lexically_relative(tree).string());
      }
    }
    if (failed) return Broken(failed.message());
    std::ranges::sort(paths);
    if (archive_write_set_format_zip(zip.get()) != ARCHIVE_OK ||
        archive_write_set_options(zip.get(), "compression-level=1") != ARCHIVE_OK ||
        archive_write_set_bytes_in_last_block(zip.get(), 1) != ARCHIVE_OK ||
        archive_write_open(zip.get(), &out, nullptr, Append, nullptr) != ARCHIVE_OK) {
      return Broken("cannot begin a zip");
    }
    return {};
  }

  Result<void> Begin(const std::string& path) {
    const auto source = tree / path;
    struct stat about{};
    if (lstat(source.c_str(), &about) != 0) return Broken(path);
    const std::unique_ptr<archive_entry, void (*)(archive_entry*)> header(archive_entry_new(),
                                                                          archive_entry_free);
    archive_entry_set_pathname(header.get(), path.c_str());
    std::error_code failed;
    if (S_ISLNK(about.st_mode)) {
      archive_entry_set_mode(header.get(), AE_IFLNK | 0777);
      archive_entry_set_symlink(header.get(), fs::read_symlink(source, failed).c_str());
      archive_entry_set_size(header.get(), 0);
    } else {
      file = Fd(open(source.c_str(), O_RDONLY | O_NOFOLLOW | O_CLOEXEC));
      if (!file) return Broken(path);
      archive_entry_set_mode(header.get(), AE_IFREG | (about.st_mode & S_IXUSR ? 0755 : 0644));
      archive_entry_set_size(header.get(), about.st_size);
    }
    if (failed || archive_write_header(zip.get(), header.get()) != ARCHIVE_OK) return Broken(path);
    return {};
  }

  // One piece of the file under way, or the next entry, or the end.
  Result<void> Step() {
    if (!opened) TRY(Open());
    if (!file) {
      if (next < paths.size()) return Begin(paths[next++]);
      ended = true;
      return archive_write_close(zip.get()) == ARCHIVE_OK ? Result<void>() : Broken("its end");
    }
    buffer.resize(kPiece);
    const auto n = read(file.Get(), buffer.data(), buffer.size());
    if (n < 0 && errno != EINTR) return Broken(ErrnoError("read").message);
    if (n == 0) file = Fd();
    if (n > 0 && archive_write_data(zip.get(), buffer.data(), static_cast<std::size_t>(n)) != n) {
      return Broken(paths[next - 1]);
    }
    return {};
  }

  const fs::path tree;
  std::string out;  // before the archive, which writes to it until it is gone
  std::unique_ptr<archive, int (*)(archive*)> zip{archive_write_new(), archive_write_free};
  std::vector<std::string> paths;
  std::size_t next = 0;
  Fd file;
  std::string buffer;
  bool opened = false, ended = false;
};

PackageZip::PackageZip(const std::string& tree) : state_(std::make_unique<State>(tree)) {}
PackageZip::~PackageZip() = default;

Result<std::string> PackageZip::Next() {
  while (!state_->ended && state_->out.size() < kPiece) TRY(state_->Step());
  return std::exchange(state_->out, {});
}

}  // namespace samovar
