#pragma once
// ProtoReader: the fields of one protocol buffer message, one after another, without copying.
// Errors   kInvalid where the bytes end inside a field, or are no field.
// Source   protobuf.dev, "Encoding".

#include <cstdint>
#include <string_view>

#include "base/error.h"

namespace samovar {

struct ProtoField {
  std::uint32_t number = 0;
  std::uint64_t value = 0;      // of a varint or fixed field
  bool is_bytes = false;        // else `value` counts
  std::string_view bytes = {};  // of a length-delimited field
};

class ProtoReader {
 public:
  explicit ProtoReader(std::string_view message) : rest_(message) {}

  bool AtEnd() const { return rest_.empty(); }
  std::string_view Rest() const { return rest_; }
  Result<ProtoField> Next();
  Result<std::uint64_t> Varint();  // without a tag, as in packed fields

 private:
  Result<std::string_view> Take(std::uint64_t size);

  std::string_view rest_;
};

}  // namespace samovar
