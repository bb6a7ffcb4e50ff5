#include "store/entry_path.h"

#include <fmt/format.h>

namespace samovar {
namespace {

constexpr std::size_t kMaxPath = 4096;
constexpr std::size_t kMaxName = 255;

std::unexpected<Error> Refuse(std::string_view name, std::string_view why) {
  return Fail(
      Code::kInvalid,
      fmt::format("Could not unzip uploaded file: entry '{}' {}.", name.substr(0, 200), why),
      "InvalidParameterValueException");
}

}  // namespace

Result<std::vector<std::string>> SplitEntryPath(std::string_view name) {
  if (name.empty()) return Refuse(name, "has no name");
  if (name.size() > kMaxPath) return Refuse(name, "has too long a path");
  if (name.front() == '/') return Refuse(name, "has an absolute path");
  if (name.find('\0') != std::string_view::npos) return Refuse(name, "has a NUL in its name");
  std::vector<std::string> parts;
  for (std::size_t at = 0; at <= name.size();) {
    const auto end = std::min(name.find('/', at), name.size());
    const auto part = name.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") return Refuse(name, "leaves the package with '..'");
    if (part.size() > kMaxName) return Refuse(name, "has too long a name");
    parts.emplace_back(part);
  }
  return parts;
}

bool LinkStaysInside(const std::vector<std::string>& location, std::string_view target) {
  if (target.empty() || target.front() == '/' || target.size() > kMaxPath) return false;
  auto depth = static_cast<int>(location.size()) - 1;
  for (std::size_t at = 0; at <= target.size();) {
    const auto end = std::min(target.find('/', at), target.size());
    const auto part = target.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    depth += part == ".." ? -1 : 1;
    if (depth < 0) return false;
  }
  return true;
}

}  // namespace samovar
