#pragma once
// ThinZip: a zip that is kept byte for byte, without what other zips have too.
//
// Why      GetFunction gives out the very bytes that came. Twenty zips with one library would cost
//          its compressed size twenty times.
// How      FOLDER/0, /1, ... are links to kept files (kept_files.h), each the data of one member;
//          FOLDER/rest is all that lies between; FOLDER/recipe, written last, says how they come
//          one after the other (docs/formats/store.md). The whole is put together and hashed before
//          anybody relies on it.
// Errors   kUnavailable when the disk fails; kInternal where the pieces are not the zip.
// Threads  A reader: one thread.

#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include "base/error.h"
#include "store/kept_files.h"

namespace samovar {

// REQUIRES: `folder` exists and is empty; the zip is whole and has that SHA-256.
Result<void> MakeThinZip(const std::string& zip, const std::string& hash, const std::string& folder,
                         KeptFiles& kept);

// The zip's bytes, piece by piece.
class ThinZipReader {
 public:
  static Result<ThinZipReader> Open(const std::string& folder);
  Result<std::string> Next();  // "" at the end
  std::uint64_t Size() const { return size_; }

 private:
  struct Piece {
    bool part = false;
    std::uint64_t size = 0;
  };
  std::string folder_;
  std::vector<Piece> pieces_;
  std::size_t at_ = 0, part_ = 0;
  std::uint64_t left_ = 0, size_ = 0;
  std::ifstream rest_, file_;
};

}  // namespace samovar
