#pragma once
// MappedModel: the bytes of a model file, mapped and not read.
//
// Why      A function's memory is bounded, and weights are most of it: a copy of the file beside
//          the session would be paid for by the user. Mapped pages are the kernel's to take back.
// Errors   kUnavailable and its like where the file cannot be read.

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

class MappedModel {
 public:
  static Result<MappedModel> Of(const std::string& path);

  MappedModel(MappedModel&& other) noexcept;
  MappedModel& operator=(MappedModel&&) = delete;
  ~MappedModel();

  std::string_view Bytes() const { return {static_cast<const char*>(data_), size_}; }

 private:
  MappedModel(void* data, std::size_t size) : data_(data), size_(size) {}

  void* data_;
  std::size_t size_;
};

}  // namespace samovar
