#include "main/terminal.h"

#include <fmt/format.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <cstdint>
#include <cstdlib>
#include <iterator>

namespace samovar {

namespace {

struct Range {
  std::uint32_t first, last;
};
// East Asian wide and the emoji blocks; coarse, as terminals are.
constexpr Range kWide[] = {
    {0x1100, 0x115F}, {0x2E80, 0x303E},   {0x3041, 0x33FF},   {0x3400, 0x4DBF},  {0x4E00, 0x9FFF},
    {0xA000, 0xA4CF}, {0xAC00, 0xD7A3},   {0xF900, 0xFAFF},   {0xFE30, 0xFE6F},  {0xFF00, 0xFF60},
    {0xFFE0, 0xFFE6}, {0x1F300, 0x1F64F}, {0x1F900, 0x1F9FF}, {0x20000, 0x3FFFD}};
constexpr Range kZero[] = {{0x0300, 0x036F}, {0x200B, 0x200F}, {0x20D0, 0x20FF}, {0xFE00, 0xFE0F}};

template <std::size_t N>
bool In(const Range (&ranges)[N], std::uint32_t c) {
  for (const Range& range : ranges) {
    if (c >= range.first && c <= range.last) return true;
  }
  return false;
}

struct Decoded {
  std::uint32_t point = 0xFFFD;
  std::size_t size = 1;  // bytes taken
};

Decoded Decode(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char lead = byte(0);
  if (lead < 0x80) return {lead, 1};
  const std::size_t size = lead >= 0xF0 ? 4 : lead >= 0xE0 ? 3 : 2;
  if (lead < 0xC2 || lead > 0xF4 || text.size() < size) return {};
  std::uint32_t point = lead & (0x7FU >> size);
  for (std::size_t i = 1; i < size; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return {};
    point = point << 6 | (byte(i) & 0x3FU);
  }
  return {point, size};
}

std::size_t PointWidth(std::uint32_t point) {
  if (In(kZero, point)) return 0;
  return In(kWide, point) ? 2 : 1;
}

}  // namespace

Terminal Terminal::Of(int fd) {
  const bool interactive = isatty(fd) == 1;
  const char* term = std::getenv("TERM");
  const bool dumb = term != nullptr && std::string_view(term) == "dumb";
  const char* no_colour = std::getenv("NO_COLOR");
  winsize size{};
  std::size_t width = 80;
  if (interactive && ioctl(fd, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) width = size.ws_col;
  const bool colours = interactive && !dumb && (no_colour == nullptr || *no_colour == '\0');
  return Terminal(interactive && !dumb, colours, width);
}

std::string Terminal::Paint(Ink ink, std::string_view text) const {
  constexpr std::string_view kCodes[] = {"", "1", "2", "31", "32", "33", "36"};
  if (!colours_ || ink == Ink::kPlain || text.empty()) return std::string(text);
  return fmt::format("\x1b[{}m{}\x1b[0m", kCodes[static_cast<int>(ink)], text);
}

std::size_t DisplayWidth(std::string_view utf8) {
  std::size_t width = 0;
  while (!utf8.empty()) {
    const Decoded decoded = Decode(utf8);
    width += PointWidth(decoded.point);
    utf8.remove_prefix(decoded.size);
  }
  return width;
}

std::string CutToWidth(std::string_view utf8, std::size_t width) {
  if (DisplayWidth(utf8) <= width) return std::string(utf8);
  if (width == 0) return "";
  std::size_t taken = 0, columns = 0;
  for (;;) {
    const Decoded decoded = Decode(utf8.substr(taken));
    if (columns + PointWidth(decoded.point) > width - 1) break;
    columns += PointWidth(decoded.point);
    taken += decoded.size;
  }
  return std::string(utf8.substr(0, taken)) + "…";
}

std::string SafeText(std::string_view text) {
  std::string out;
  while (!text.empty()) {
    const Decoded decoded = Decode(text);
    const std::uint32_t c = decoded.point;
    if (c == '\t') {
      out += ' ';
    } else if (c < 0x20 || c == 0x7F) {
      out += fmt::format("\\x{:02x}", c);
    } else if (c >= 0x80 && c < 0xA0) {
      out += fmt::format("\\u{:04x}", c);
    } else if (c == 0xFFFD && decoded.size == 1) {
      out += "\xEF\xBF\xBD";
    } else {
      out += text.substr(0, decoded.size);
    }
    text.remove_prefix(decoded.size);
  }
  return out;
}

}  // namespace samovar
