#include "images/layer_unpack.h"

#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <optional>

#include "images/layer_stream.h"
#include "images/layer_tree.h"
#include "os/utf8_locale.h"

namespace samovar {
namespace {

constexpr std::string_view kWhiteout = ".wh.";
constexpr std::string_view kOpaque = ".wh..wh..opq";
constexpr std::string_view kOfAufs = ".wh..wh.";

std::unexpected<Error> Refuse(std::string_view name, std::string_view why) {
  return Fail(Code::kInvalid, fmt::format("entry '{}' {}", name.substr(0, 200), why));
}

class Unpacking {
 public:
  Unpacking(LayerStream stream, int folder, const LayerBounds& bounds)
      : stream_(std::move(stream)), tree_(folder), folder_(folder), bounds_(bounds) {}

  Result<UnpackedLayer> Run(const std::string& diff_id) {
    TRY(OpenTar());
    while (true) {
      archive_entry* entry = nullptr;
      const int status = archive_read_next_header(tar_.get(), &entry);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return std::unexpected(Damaged());
      if (++done_.files > bounds_.max_files) {
        return Fail(Code::kTooLarge, fmt::format("the layer has more than the {} entries that are "
                                                 "allowed",
                                                 bounds_.max_files));
      }
      TRY(Take(entry));
    }
    TRY(const auto digest, stream_.HexDigest());
    if (digest != diff_id) {
      return Fail(Code::kInvalid,
                  fmt::format("the layer's digest is sha256:{}, not sha256:{}", digest, diff_id));
    }
    if (::syncfs(folder_) != 0) return std::unexpected(ErrnoError("sync a layer"));
    return done_;
  }

 private:
  static la_ssize_t Feed(archive* tar, void* self, const void** block) {
    auto& unpacking = *static_cast<Unpacking*>(self);
    auto bytes = unpacking.stream_.Next();
    if (!bytes) {
      archive_set_error(tar, EIO, "%s", bytes.error().message.c_str());
      unpacking.broken_ = bytes.error();
      return ARCHIVE_FATAL;
    }
    *block = bytes->data();
    return static_cast<la_ssize_t>(bytes->size());
  }

  Result<void> OpenTar() {
    tar_.reset(archive_read_new());
    if (!tar_) return Fail(Code::kUnavailable, "unpack a layer: no memory");
    archive_read_support_format_tar(tar_.get());
    archive_read_support_format_gnutar(tar_.get());
    archive_read_support_format_empty(tar_.get());
    if (archive_read_open(tar_.get(), this, nullptr, Feed, nullptr) != ARCHIVE_OK) {
      return std::unexpected(Damaged());
    }
    return {};
  }

  Error Damaged() const {
    if (broken_) return *broken_;
    const char* why = archive_error_string(tar_.get());
    return {Code::kInvalid, fmt::format("the layer is no tar: {}", why ? why : "damaged")};
  }

  Result<void> Take(archive_entry* entry) {
    const char* raw = archive_entry_pathname_utf8(entry);
    if (!raw) raw = archive_entry_pathname(entry);
    const std::string name = raw ? raw : "";
    TRY(const auto path, LayerTree::Split(name));
    if (!path.empty() && path.back().starts_with(kWhiteout)) return TakeWhiteout(name, path);
    if (const char* target = archive_entry_hardlink(entry)) {
      TRY(const auto to, LayerTree::Split(target));
      return tree_.MakeHardLink(path, to);
    }
    switch (archive_entry_filetype(entry)) {
      case AE_IFDIR:
        return tree_.MakeFolder(path);
      case AE_IFREG:
        return TakeFile(entry, name, path);
      case AE_IFLNK: {
        const char* target = archive_entry_symlink_utf8(entry);
        if (!target) target = archive_entry_symlink(entry);
        return tree_.MakeSymlink(path, target ? target : "");
      }
      default:
        // Every root file system that was not made for containers has them; here /dev is the
        // sandbox's own.
        if (!path.empty() && path.front() == "dev") return {};
        return Refuse(name,
                      "is neither a file, a folder nor a link (devices, FIFOs and sockets "
                      "have no place in a function's image)");
    }
  }

  Result<void> TakeWhiteout(const std::string& name, const LayerTree::Path& path) {
    // umoci writes whiteouts of all that was in a folder below the link that took its place.
    if (tree_.Hides(path)) return {};
    LayerTree::Path folder(path.begin(), path.end() - 1);
    if (path.back() == kOpaque) {
      if (folder.empty()) {
        done_.covers_all = true;
        return {};
      }
      return tree_.RemoveBelow(folder);
    }
    if (path.back().starts_with(kOfAufs)) return {};
    const auto removed = path.back().substr(kWhiteout.size());
    if (removed.empty() || removed == "." || removed == "..") {
      return Refuse(name, "removes nothing that can be");
    }
    folder.push_back(removed);
    return tree_.Remove(folder);
  }

  Result<void> TakeFile(archive_entry* entry, const std::string& name,
                        const LayerTree::Path& path) {
    TRY(const Fd file, tree_.MakeFile(path));
    const Bytes before = done_.size;
    Bytes end;
    while (true) {
      const void* block = nullptr;
      std::size_t size = 0;
      la_int64_t offset = 0;
      const int status = archive_read_data_block(tar_.get(), &block, &size, &offset);
      if (status == ARCHIVE_EOF) break;
      if (status != ARCHIVE_OK) return broken_ ? std::unexpected(*broken_) : Damage(name);
      end = Bytes{static_cast<std::uint64_t>(offset) + size};
      if (before + end > bounds_.max_unpacked) return std::unexpected(TooLarge());
      TRY(Write(file.Get(), static_cast<const char*>(block), size, offset));
    }
    // A sparse file may end in a hole.
    end = std::max(end, Bytes{static_cast<std::uint64_t>(archive_entry_size(entry))});
    if (before + end > bounds_.max_unpacked) return std::unexpected(TooLarge());
    if (::ftruncate(file.Get(), static_cast<off_t>(end.count)) != 0) {
      return std::unexpected(ErrnoError("unpack " + name));
    }
    done_.size = before + end;
    const mode_t mode = archive_entry_perm(entry) & 0111 ? 0755 : 0644;
    if (::fchmod(file.Get(), mode) != 0) return std::unexpected(ErrnoError("unpack " + name));
    // Python trusts compiled modules by the time of their source.
    const timespec at{archive_entry_mtime(entry), 0};
    const timespec times[2] = {at, at};
    (void)::futimens(file.Get(), times);
    return {};
  }

  static Result<void> Write(int file, const char* bytes, std::size_t size, la_int64_t offset) {
    while (size > 0) {
      const auto n = ::pwrite(file, bytes, size, offset);
      if (n < 0 && errno == EINTR) continue;
      if (n <= 0) return std::unexpected(ErrnoError("write a file of a layer"));
      bytes += n;
      offset += n;
      size -= static_cast<std::size_t>(n);
    }
    return {};
  }

  std::unexpected<Error> Damage(const std::string& name) const {
    return Refuse(name, "is damaged");
  }
  Error TooLarge() const {
    return {Code::kTooLarge,
            fmt::format("the layer unpacks to more than the {} bytes that are allowed",
                        bounds_.max_unpacked.count)};
  }

  LayerStream stream_;
  LayerTree tree_;
  int folder_;
  const LayerBounds& bounds_;
  ArchiveReader tar_;
  UnpackedLayer done_;
  std::optional<Error> broken_;  // of the stream
};

}  // namespace

Result<UnpackedLayer> UnpackLayer(int layer, int folder, const std::string& diff_id,
                                  const LayerBounds& bounds) {
  const Utf8Locale utf8;
  TRY(auto stream, LayerStream::Open(layer, bounds.max_unpacked));
  return Unpacking(std::move(stream), folder, bounds).Run(diff_id);
}

}  // namespace samovar
