#pragma once
// Input: a fuzzer's bytes, taken as lines and a rest.

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace samovar {

class Input {
 public:
  Input(const std::uint8_t* data, std::size_t size)
      : rest_(reinterpret_cast<const char*>(data), size) {}

  std::string_view Line() {
    std::size_t end = rest_.find('\n');
    std::string_view line = rest_.substr(0, end);
    rest_.remove_prefix(end == std::string_view::npos ? rest_.size() : end + 1);
    return line;
  }
  // A number from the first byte, in [low, high].
  std::size_t Number(std::size_t low, std::size_t high) {
    if (rest_.empty()) return low;
    auto byte = static_cast<unsigned char>(rest_[0]);
    rest_.remove_prefix(1);
    return low + byte % (high - low + 1);
  }
  std::string_view Rest() const { return rest_; }

 private:
  std::string_view rest_;
};

}  // namespace samovar
