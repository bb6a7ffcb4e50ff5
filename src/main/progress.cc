#include "main/progress.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstdio>

namespace samovar {

namespace {

void Write(const std::string& text) {
  std::fputs(text.c_str(), stderr);
  std::fflush(stderr);
}

std::string Bar(std::uint64_t done, std::uint64_t total, std::size_t width) {
  const double share = static_cast<double>(done) / static_cast<double>(total);
  const auto filled = static_cast<std::size_t>(std::min(1.0, share) * static_cast<double>(width));
  std::string out;
  for (std::size_t i = 0; i < width; ++i) out += i < filled ? "█" : "░";
  return out;
}

}  // namespace

std::string HumanSize(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KB", "MB", "GB", "TB"};
  double value = static_cast<double>(bytes);
  int unit = 0;
  while (value >= 1024 && unit < 4) {
    value /= 1024;
    ++unit;
  }
  return unit == 0 ? fmt::format("{} B", bytes) : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

Progress::Progress(const Terminal& terminal, const Clock& clock, std::string label)
    : terminal_(terminal), clock_(clock), label_(std::move(label)), started_(clock.Now()) {
  if (terminal_.Interactive()) {
    Rewrite(label_);
  } else {
    Write(label_ + "\n");
  }
}

Progress::~Progress() {
  if (!done_ && drawn_) Write("\r\x1b[K");
}

void Progress::Rewrite(const std::string& text) {
  drawn_ = true;
  Write("\r\x1b[K" + CutToWidth(text, terminal_.Width() > 1 ? terminal_.Width() - 1 : 79));
}

void Progress::Bytes(std::uint64_t done, std::uint64_t total) {
  if (!terminal_.Interactive()) {
    const std::uint64_t quarter = total == 0 ? 0 : done * 4 / total;
    const bool long_work = clock_.Now() - started_ > std::chrono::seconds(1);
    if (quarter > last_quarter_ && quarter < 4 && long_work) {
      Write(fmt::format("{}: {}%\n", label_, quarter * 25));
    }
    last_quarter_ = quarter;
    return;
  }
  const SteadyTime now = clock_.Now();
  if (now - last_drawn_ < std::chrono::milliseconds(100)) return;
  last_drawn_ = now;
  if (total == 0) {
    Rewrite(fmt::format("{} {}", label_, HumanSize(done)));
  } else {
    Rewrite(fmt::format("{} {} {} of {}", label_, Bar(done, total, 24), HumanSize(done),
                        HumanSize(total)));
  }
}

void Progress::Note(const std::string& text) {
  if (!terminal_.Interactive()) {
    Write(fmt::format("  {}\n", SafeText(text)));
    return;
  }
  const SteadyTime now = clock_.Now();
  if (now - last_drawn_ < std::chrono::milliseconds(100)) return;
  last_drawn_ = now;
  Rewrite(label_ + ": " + SafeText(text));
}

void Progress::Done(const std::string& text) {
  if (terminal_.Interactive()) Write("\r\x1b[K");
  Write(text + "\n");
  done_ = true;
}

}  // namespace samovar
