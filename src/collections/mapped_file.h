#pragma once
// MappedFile: a file in memory, shared with every other process that maps it.
// Errors   What errno says, with the path. kInternal for one that is shorter than what is asked
//          for.

#include <cstddef>
#include <string>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

class MappedFile {
 public:
  enum class Access { kRead, kWrite };

  MappedFile() = default;
  MappedFile(MappedFile&& other) noexcept;
  MappedFile& operator=(MappedFile&& other) noexcept;
  MappedFile(const MappedFile&) = delete;
  ~MappedFile();

  static Result<MappedFile> Open(const std::string& path, Access access, std::size_t least);

  char* Data() const { return data_; }
  std::size_t Size() const { return size_; }
  int File() const { return file_.Get(); }

 private:
  Fd file_;
  char* data_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace samovar
