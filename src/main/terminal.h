#pragma once
// Terminal: what the command line may do with a stream: colours, width, a line that is rewritten.
//
// How      Colours and rewriting only where the stream is a terminal; NO_COLOR (any value) and
//          TERM=dumb turn colours off. SafeText keeps what functions print from steering the
//          terminal.
// Threads  Values.

#include <cstddef>
#include <string>
#include <string_view>

namespace samovar {

enum class Ink { kPlain, kBold, kDim, kRed, kGreen, kYellow, kCyan };

class Terminal {
 public:
  static Terminal Of(int fd);
  Terminal(bool interactive, bool colours, std::size_t width)
      : interactive_(interactive), colours_(colours), width_(width) {}

  bool Interactive() const { return interactive_; }
  std::size_t Width() const { return width_; }
  std::string Paint(Ink ink, std::string_view text) const;

 private:
  bool interactive_;
  bool colours_;
  std::size_t width_;
};

// Columns that UTF-8 text takes: wide characters two, combining ones none. Malformed bytes count
// one each.
std::size_t DisplayWidth(std::string_view utf8);
// The longest start of `utf8` that fits; ends in "…" where something was cut.
std::string CutToWidth(std::string_view utf8, std::size_t width);
// Without control characters (a tab becomes a space): each becomes "\xNN".
std::string SafeText(std::string_view text);

}  // namespace samovar
