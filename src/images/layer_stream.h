#pragma once
// LayerStream: the uncompressed bytes of a layer, hashed and counted as they pass.
// Errors   kInvalid for what is damaged, kTooLarge past the bound.
// Threads  One.

#include <archive.h>

#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"
#include "wire/sha256.h"

namespace samovar {

struct CloseArchive {
  void operator()(archive* a) const { archive_read_free(a); }
};
using ArchiveReader = std::unique_ptr<archive, CloseArchive>;

class LayerStream {
 public:
  // A plain tar, or one compressed by gzip or zstd.
  static Result<LayerStream> Open(int fd, Bytes bound);

  // The next bytes; empty at the end. Valid until the next call.
  Result<std::string_view> Next();
  // Reads what is left, then the digest of all.
  Result<std::string> HexDigest();

 private:
  explicit LayerStream(Bytes bound) : bound_(bound) {}

  ArchiveReader raw_;
  Sha256 hash_;
  Bytes bound_;
  Bytes passed_;
};

}  // namespace samovar
