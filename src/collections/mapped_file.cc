#include "collections/mapped_file.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/stat.h>

#include <utility>

#include "collections/disk.h"

namespace samovar {

MappedFile::MappedFile(MappedFile&& other) noexcept
    : file_(std::move(other.file_)),
      data_(std::exchange(other.data_, nullptr)),
      size_(std::exchange(other.size_, 0)) {}

MappedFile& MappedFile::operator=(MappedFile&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(data_, other.data_);
  std::swap(size_, other.size_);
  return *this;
}

MappedFile::~MappedFile() {
  if (data_) ::munmap(data_, size_);
}

Result<MappedFile> MappedFile::Open(const std::string& path, Access access, std::size_t least) {
  const bool write = access == Access::kWrite;
  MappedFile mapped;
  mapped.file_ = Fd(::open(path.c_str(), (write ? O_RDWR : O_RDONLY) | O_CLOEXEC));
  if (!mapped.file_) return std::unexpected(ErrnoError("open " + path));
  // For the writer, which frees at once what nobody has (Collection::Expire). Not having it is no
  // harm.
  if (!write) ::flock(mapped.file_.Get(), LOCK_SH | LOCK_NB);
  struct stat info{};
  if (::fstat(mapped.file_.Get(), &info) != 0) return std::unexpected(ErrnoError("stat " + path));
  const auto size = static_cast<std::size_t>(info.st_size);
  if (size < least || size == 0) {
    return Fail(Code::kInternal, path + " is damaged: it has " + std::to_string(size) +
                                     " bytes of at least " + std::to_string(least));
  }
  void* data = ::mmap(nullptr, size, PROT_READ | (write ? PROT_WRITE : 0), MAP_SHARED,
                      mapped.file_.Get(), 0);
  if (data == MAP_FAILED) return std::unexpected(ErrnoError("map " + path));
  // What is read from the disk comes in huge pages then, too (piece_writer.h). Where the kernel has
  // none for files, nothing is lost.
  if (size >= kHugePage) ::madvise(data, size, MADV_HUGEPAGE);
  mapped.data_ = static_cast<char*>(data);
  mapped.size_ = size;
  return mapped;
}

}  // namespace samovar
