#include "packages/sandbox_view.h"

#include <filesystem>
#include <ranges>
#include <string_view>

namespace samovar {
namespace {

namespace fs = std::filesystem;

bool Within(std::string_view path, std::string_view top) {
  return path.starts_with(top) && (path.size() == top.size() || path[top.size()] == '/');
}

// What src/sandbox/root_tree.cc binds of the host.
bool EverySandboxShows(std::string_view path) {
  if (Within(path, "/usr")) return !Within(path, "/usr/local") && !Within(path, "/usr/src");
  for (const char* top : {"/lib", "/lib64", "/lib32", "/libx32", "/bin", "/sbin"}) {
    if (Within(path, top)) return true;
  }
  return false;
}

}  // namespace

std::optional<std::string> SandboxView::Find(const std::string& inside) const {
  const std::string path = fs::path(inside).lexically_normal();
  std::error_code ignored;
  const auto if_there = [&](const std::string& at) -> std::optional<std::string> {
    return fs::exists(at, ignored) ? std::optional(at) : std::nullopt;
  };
  if (!outside_) return if_there(path);
  for (const Place& place : places_ | std::views::reverse) {
    if (!Within(path, place.target)) continue;
    if (auto found = if_there(place.source + path.substr(place.target.size()))) return found;
  }
  return EverySandboxShows(path) ? if_there(path) : std::nullopt;
}

}  // namespace samovar
