#include "models/proto_reader.h"

namespace samovar {
namespace {

std::unexpected<Error> CutOff() {
  return Fail(Code::kInvalid, "it is cut off, or is no protocol buffer");
}

std::uint64_t Fixed(std::string_view bytes) {
  std::uint64_t value = 0;
  for (std::size_t i = bytes.size(); i-- > 0;) {
    value = value << 8 | static_cast<unsigned char>(bytes[i]);
  }
  return value;
}

}  // namespace

Result<std::uint64_t> ProtoReader::Varint() {
  std::uint64_t value = 0;
  for (unsigned shift = 0; shift < 64 && !rest_.empty(); shift += 7) {
    const auto byte = static_cast<unsigned char>(rest_.front());
    rest_.remove_prefix(1);
    value |= static_cast<std::uint64_t>(byte & 0x7f) << shift;
    if ((byte & 0x80) == 0) return value;
  }
  return CutOff();
}

Result<std::string_view> ProtoReader::Take(std::uint64_t size) {
  if (size > rest_.size()) return CutOff();
  const std::string_view taken = rest_.substr(0, size);
  rest_.remove_prefix(size);
  return taken;
}

Result<ProtoField> ProtoReader::Next() {
  TRY(const std::uint64_t tag, Varint());
  ProtoField field;
  field.number = static_cast<std::uint32_t>(tag >> 3);
  if (tag >> 3 == 0 || tag >> 32 != 0) return CutOff();
  switch (tag & 7) {
    case 0: {
      TRY(field.value, Varint());
      return field;
    }
    case 1: {
      TRY(const std::string_view bytes, Take(8));
      field.value = Fixed(bytes);
      return field;
    }
    case 2: {
      TRY(const std::uint64_t size, Varint());
      TRY(field.bytes, Take(size));
      field.is_bytes = true;
      return field;
    }
    case 5: {
      TRY(const std::string_view bytes, Take(4));
      field.value = Fixed(bytes);
      return field;
    }
    default:
      return CutOff();
  }
}

}  // namespace samovar
