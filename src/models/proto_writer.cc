#include "models/proto_writer.h"

namespace samovar {

void AppendVarint(std::uint64_t value, std::string& out) {
  for (; value >= 0x80; value >>= 7) out += static_cast<char>(value | 0x80);
  out += static_cast<char>(value);
}

void AppendBytesField(std::uint32_t number, std::string_view bytes, std::string& out) {
  AppendVarint(std::uint64_t{number} << 3 | 2, out);
  AppendVarint(bytes.size(), out);
  out += bytes;
}

void AppendNumberField(std::uint32_t number, std::uint64_t value, std::string& out) {
  AppendVarint(std::uint64_t{number} << 3, out);
  AppendVarint(value, out);
}

}  // namespace samovar
