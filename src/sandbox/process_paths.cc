#include "sandbox/process_paths.h"

#include <unistd.h>

#include <algorithm>
#include <string_view>
#include <vector>

namespace samovar {
namespace {

// All host paths that `path` could mean, the one that wins first; itself where no mount has it.
std::vector<std::string> Candidates(const SandboxSpec& spec, const std::string& path) {
  const BindMount* best = nullptr;
  for (const auto& mount : spec.mounts) {
    bool under = path.starts_with(mount.target) &&
                 (path.size() == mount.target.size() || path[mount.target.size()] == '/');
    if (under && (!best || mount.target.size() > best->target.size())) best = &mount;
  }
  if (!best) return {path};
  std::string rest = path.substr(best->target.size());
  std::vector<std::string> found;
  for (auto at = best->overlays.rbegin(); at != best->overlays.rend(); ++at) {
    found.push_back(*at + rest);
  }
  found.push_back(best->source + rest);
  return found;
}

std::string Existing(const SandboxSpec& spec, const std::string& path) {
  auto found = Candidates(spec, path);
  auto there = std::find_if(found.begin(), found.end(),
                            [](const std::string& p) { return ::access(p.c_str(), F_OK) == 0; });
  return there == found.end() ? found.front() : *there;
}

std::string MapList(const SandboxSpec& spec, std::string_view value) {
  std::string mapped;
  for (std::size_t at = 0; at <= value.size();) {
    std::size_t end = std::min(value.find(':', at), value.size());
    std::string element(value.substr(at, end - at));
    if (at != 0) mapped += ':';
    if (element.starts_with('/')) {
      auto all = Candidates(spec, element);
      for (std::size_t i = 0; i < all.size(); ++i) mapped += (i ? ":" : "") + all[i];
    } else {
      mapped += element;
    }
    at = end + 1;
  }
  return mapped;
}

void SetVariable(std::vector<std::string>& env, const std::string& name, const std::string& value) {
  std::erase_if(env, [&](const std::string& text) { return text.starts_with(name + "="); });
  env.push_back(name + "=" + value);
}

}  // namespace

SandboxSpec ToHostPaths(SandboxSpec spec, const std::string& tmp, const std::string& runtime_api) {
  for (auto& argument : spec.argv) argument = Existing(spec, argument);
  spec.cwd = Existing(spec, spec.cwd);
  for (auto& text : spec.env) {
    std::size_t equals = text.find('=');
    if (equals == std::string::npos) continue;
    text = text.substr(0, equals + 1) + MapList(spec, std::string_view(text).substr(equals + 1));
  }
  SetVariable(spec.env, "TMPDIR", tmp);
  if (!runtime_api.empty()) SetVariable(spec.env, "AWS_LAMBDA_RUNTIME_API", runtime_api);
  return spec;
}

}  // namespace samovar
