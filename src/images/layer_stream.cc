#include "images/layer_stream.h"

#include <archive_entry.h>
#include <fmt/format.h>

namespace samovar {
namespace {

constexpr std::size_t kBlock = 256 << 10;

std::unexpected<Error> Damaged(archive* raw) {
  const char* why = archive_error_string(raw);
  return Fail(Code::kInvalid, fmt::format("the layer cannot be read: {}", why ? why : "damaged"));
}

}  // namespace

Result<LayerStream> LayerStream::Open(int fd, Bytes bound) {
  LayerStream stream(bound);
  stream.raw_.reset(archive_read_new());
  archive* raw = stream.raw_.get();
  if (!raw) return Fail(Code::kUnavailable, "read a layer: no memory");
  archive_read_support_filter_gzip(raw);
  archive_read_support_filter_zstd(raw);
  archive_read_support_format_raw(raw);
  archive_read_support_format_empty(raw);
  if (archive_read_open_fd(raw, fd, kBlock) != ARCHIVE_OK) return Damaged(raw);
  archive_entry* entry = nullptr;
  const int status = archive_read_next_header(raw, &entry);
  if (status != ARCHIVE_OK && status != ARCHIVE_EOF) return Damaged(raw);
  if (status == ARCHIVE_EOF) return Fail(Code::kInvalid, "the layer is empty");
  return stream;
}

Result<std::string_view> LayerStream::Next() {
  const void* block = nullptr;
  std::size_t size = 0;
  la_int64_t offset = 0;
  const int status = archive_read_data_block(raw_.get(), &block, &size, &offset);
  if (status == ARCHIVE_EOF) return std::string_view();
  if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return Damaged(raw_.get());
  passed_ = passed_ + Bytes{size};
  if (passed_ > bound_) {
    return Fail(
        Code::kTooLarge,
        fmt::format("the layer unpacks to more than the {} bytes that are allowed", bound_.count));
  }
  const std::string_view bytes(static_cast<const char*>(block), size);
  hash_.Update(bytes);
  return bytes;
}

Result<std::string> LayerStream::HexDigest() {
  while (true) {
    TRY(const auto bytes, Next());
    if (bytes.empty()) return hash_.HexDigest();
  }
}

}  // namespace samovar
