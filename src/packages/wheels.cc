#include "packages/wheels.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kMaxLines = 400'000;  // of a RECORD; bounds what a hostile one makes us hold

std::vector<std::string_view> Split(std::string_view text, char separator) {
  std::vector<std::string_view> parts;
  for (;;) {
    const auto end = text.find(separator);
    parts.push_back(text.substr(0, end));
    if (end == text.npos) return parts;
    text.remove_prefix(end + 1);
  }
}

// The path of a RECORD's line, which is CSV: "a/b.py,sha256=...,123", quoted where it has a comma.
std::string PathOf(std::string_view line) {
  if (!line.starts_with('"')) return std::string(line.substr(0, line.find(',')));
  std::string path;
  for (std::size_t at = 1; at < line.size(); ++at) {
    if (line[at] == '"' && (at + 1 == line.size() || line[at + 1] != '"')) break;
    if (line[at] == '"') ++at;
    path += line[at];
  }
  return path;
}

std::optional<int> MinorOf(std::string_view tag, std::string_view prefix) {
  if (!tag.starts_with(prefix)) return std::nullopt;
  int minor = 0;
  const auto read = std::from_chars(tag.data() + prefix.size(), tag.data() + tag.size(), minor);
  return read.ec == std::errc() && read.ptr == tag.data() + tag.size() ? std::optional(minor)
                                                                       : std::nullopt;
}

bool InterpreterFits(std::string_view python, std::string_view abi, int minor) {
  if (python == "py3" || python == "py2.py3") return true;
  if (const auto older = MinorOf(python, "py3")) return *older <= minor;
  const auto built = MinorOf(python, "cp3");
  if (!built) return false;
  return abi == "abi3" ? *built <= minor : *built == minor && !abi.ends_with('t');
}

bool PlatformFits(std::string_view platform, std::string_view machine) {
  if (platform == "any") return true;
  // Which C library a manylinux wheel needs, its files tell better than its name.
  return platform.ends_with(machine) &&
         (platform.starts_with("linux_") || platform.starts_with("manylinux"));
}

struct Tag {
  std::string_view python, abi, platform;
};
std::optional<Tag> ParseTag(std::string_view text) {
  const auto parts = Split(text, '-');
  if (parts.size() != 3) return std::nullopt;
  return Tag{parts[0], parts[1], parts[2]};
}

std::string MachineOf(std::string_view platform) {
  for (const char* known :
       {"aarch64", "armv7l", "armv6l", "i686", "ppc64le", "s390x", "riscv64", "x86_64"}) {
    if (platform.ends_with(known)) return known;
  }
  return std::string(platform);
}

}  // namespace

Wheel ReadWheel(const std::string& outside, const std::string& inside) {
  Wheel wheel;
  const fs::path folder(inside);
  wheel.site = folder.parent_path();
  const std::string stem = folder.stem();  // NAME-VERSION
  const auto dash = stem.rfind('-');
  wheel.name = stem.substr(0, dash);
  if (dash != stem.npos) wheel.version = stem.substr(dash + 1);
  std::ifstream about(fs::path(outside) / "WHEEL");
  std::string line;
  for (std::size_t i = 0; i < kMaxLines && std::getline(about, line); ++i) {
    if (line.ends_with('\r')) line.pop_back();
    if (!line.starts_with("Tag: ")) continue;
    const auto tag = ParseTag(std::string_view(line).substr(5));
    if (!tag) continue;
    for (auto python : Split(tag->python, '.')) {  // a compressed set stands for each of its tags
      for (auto platform : Split(tag->platform, '.')) {
        wheel.tags.push_back(fmt::format("{}-{}-{}", python, tag->abi, platform));
      }
    }
  }
  std::ifstream record(fs::path(outside) / "RECORD");
  for (std::size_t i = 0; i < kMaxLines && std::getline(record, line); ++i) {
    if (line.empty()) continue;
    wheel.files.push_back((fs::path(wheel.site) / PathOf(line)).lexically_normal());
  }
  return wheel;
}

std::optional<std::string> BuiltForOthers(const Wheel& wheel, int minor, std::string_view machine) {
  std::optional<std::string> others;
  for (const auto& text : wheel.tags) {
    const auto tag = ParseTag(text);
    if (!tag) continue;
    const bool platform = PlatformFits(tag->platform, machine);
    if (platform && InterpreterFits(tag->python, tag->abi, minor)) return std::nullopt;
    if (others) continue;
    if (platform) {
      const auto built = MinorOf(tag->python, "cp3");
      others = built ? fmt::format("CPython 3.{}", *built) : std::string(tag->python);
      if (tag->abi.ends_with('t')) *others += " without its lock (free-threaded)";
    } else if (!tag->platform.ends_with(machine)) {
      others = MachineOf(tag->platform);
    } else {
      others = tag->platform.starts_with("musllinux") ? "musl (Alpine Linux)"
                                                      : std::string(tag->platform);
    }
  }
  return others;
}

}  // namespace samovar
