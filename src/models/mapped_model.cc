#include "models/mapped_model.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

namespace samovar {

Result<MappedModel> MappedModel::Of(const std::string& path) {
  const int fd = ::open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) return std::unexpected(ErrnoError("cannot read it"));
  struct stat about{};
  ::fstat(fd, &about);
  const auto size = static_cast<std::size_t>(about.st_size);
  void* data = size == 0 ? nullptr : ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd, 0);
  ::close(fd);
  if (data == MAP_FAILED) return std::unexpected(ErrnoError("cannot map it"));
  return MappedModel(data, size);
}

MappedModel::MappedModel(MappedModel&& other) noexcept
    : data_(std::exchange(other.data_, nullptr)), size_(other.size_) {}

MappedModel::~MappedModel() {
  if (data_ != nullptr) ::munmap(data_, size_);
}

}  // namespace samovar
