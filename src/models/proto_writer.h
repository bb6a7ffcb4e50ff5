#pragma once
// Writing of protocol buffers, a field at a time.
// Source   protobuf.dev, "Encoding".

#include <cstdint>
#include <string>
#include <string_view>

namespace samovar {

void AppendVarint(std::uint64_t value, std::string& out);
void AppendBytesField(std::uint32_t number, std::string_view bytes, std::string& out);
void AppendNumberField(std::uint32_t number, std::uint64_t value, std::string& out);

}  // namespace samovar
