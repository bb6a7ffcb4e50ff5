#include "packages/libraries.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>

#include "os/run_program.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

struct DebianLibrary {
  std::string_view soname, package;
};
constexpr DebianLibrary kDebianLibraries[] = {
#include "packages/debian_libraries.inc"
};

constexpr std::chrono::seconds kListTime{10};
constexpr std::array kStandardFolders = {
#if defined(__x86_64__)
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
#else
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib",
    "/usr/lib",
#endif
};
#if defined(__x86_64__)
constexpr std::string_view kCacheMark = "x86-64";
#else
constexpr std::string_view kCacheMark = "AArch64";
#endif

// "\tlibz.so.1 (libc6,x86-64) => /lib/x86_64-linux-gnu/libz.so.1" a line.
std::map<std::string, std::string> LoaderCache() {
  std::map<std::string, std::string> cache;
  auto listed = RunProgram({"/sbin/ldconfig", "-p"}, kListTime);
  if (!listed) return cache;  // the standard folders have nearly all of it
  std::string_view text = *listed;
  while (!text.empty()) {
    const auto end = std::min(text.find('\n'), text.size());
    const auto line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    const auto open = line.find(" ("), arrow = line.find(" => ");
    if (open == line.npos || arrow == line.npos || !line.starts_with('\t')) continue;
    if (line.substr(open, arrow - open).find(kCacheMark) == line.npos) continue;
    cache.emplace(line.substr(1, open - 1), line.substr(arrow + 4));
  }
  return cache;
}

std::string FillOrigin(std::string folder, const std::string& inside) {
  const std::string origin = fs::path(inside).parent_path();
  for (std::string_view name : {"${ORIGIN}", "$ORIGIN"}) {
    for (std::size_t at = 0; (at = folder.find(name, at)) != folder.npos; at += origin.size()) {
      folder.replace(at, name.size(), origin);
    }
  }
  return folder;
}

std::string_view IsaName(std::uint32_t missing) {
  if (missing & 8) return "x86-64-v4 (AVX-512)";
  if (missing & 4) return "x86-64-v3 (AVX2)";
  return "x86-64-v2 (SSE4.2)";
}

// Numbers in order, as "2.4" is older than "2.36".
std::vector<int> Numbers(std::string_view version) {
  std::vector<int> numbers;
  for (std::size_t at = version.find('_') + 1; at < version.size();) {
    int value = 0;
    const auto* from = version.data() + at;
    const auto read = std::from_chars(from, version.data() + version.size(), value);
    if (read.ec != std::errc()) return {};
    numbers.push_back(value);
    at = static_cast<std::size_t>(read.ptr - version.data()) + 1;
  }
  return numbers;
}

std::string Newest(const std::set<std::string>& versions, std::string_view family) {
  std::string newest;
  for (const auto& one : versions) {
    if (one.starts_with(family) && Numbers(one) > Numbers(newest)) newest = one;
  }
  return newest;
}

LoadProblem MissingLibrary(const std::string& library) {
  LoadProblem problem{LoadProblem::Kind::kLibrary,
                      fmt::format("it needs {}, which no sandbox of this host has", library), "",
                      library};
  if (library.starts_with("libc.musl")) {
    problem.kind = LoadProblem::Kind::kMusl;
    problem.text = "it is built for musl (Alpine Linux), and this host's C library is glibc";
    return problem;
  }
  const auto package = DebianPackageOf(library);
  problem.remedy =
      package.empty()
          ? fmt::format("put {} into the package's lib/ folder, or install it on the host", library)
          : fmt::format(
                "install it on the host (Debian: apt-get install {}), or put it into the "
                "package's lib/ folder",
                package);
  return problem;
}

}  // namespace

std::string_view DebianPackageOf(std::string_view soname) {
  const auto* found = std::ranges::find(kDebianLibraries, soname, &DebianLibrary::soname);
  return found == std::end(kDebianLibraries) ? std::string_view() : found->package;
}

std::string NewestGlibc(const ElfFile& libc) { return Newest(libc.versions, "GLIBC_"); }

Libraries::Libraries(const SandboxView& view, std::vector<std::string> search,
                     std::set<std::string> bundled)
    : view_(view),
      search_(std::move(search)),
      bundled_(std::move(bundled)),
      cache_(LoaderCache()) {}

const Result<std::optional<ElfFile>>& Libraries::Read(const std::string& inside) {
  const auto known = read_.find(inside);
  if (known != read_.end()) return known->second;
  const auto outside = view_.Find(inside);
  return read_
      .emplace(inside, outside ? ReadElf(*outside) : Result<std::optional<ElfFile>>(std::nullopt))
      .first->second;
}

std::optional<std::string> Libraries::Resolve(const std::string& library, const std::string& inside,
                                              const ElfFile& file) {
  if (library.find('/') != library.npos) {
    return view_.Find(library) ? std::optional(library) : std::nullopt;
  }
  const auto in = [&](const std::string& folder) -> std::optional<std::string> {
    const auto path = fs::path(FillOrigin(folder, inside)) / library;
    const std::string at = path.lexically_normal();
    const auto& found = Read(at);  // the loader passes over files for other machines
    return found && *found && (*found)->native ? std::optional(at) : std::nullopt;
  };
  std::vector<std::string> folders;
  if (file.runpath.empty()) folders = file.rpath;
  folders.insert(folders.end(), search_.begin(), search_.end());
  folders.insert(folders.end(), file.runpath.begin(), file.runpath.end());
  for (const auto& folder : folders) {
    if (auto found = in(folder)) return found;
  }
  const auto cached = cache_.find(library);
  if (cached != cache_.end() && view_.Find(cached->second)) return cached->second;
  for (const char* folder : kStandardFolders) {
    if (auto found = in(folder)) return found;
  }
  return std::nullopt;
}

std::optional<LoadProblem> Libraries::CheckVersions(const ElfFile& file, const std::string& library,
                                                    const ElfFile& found) {
  if (found.versions.empty()) return std::nullopt;  // the loader only warns
  for (const auto& need : file.needs_versions) {
    if (need.library != library || found.versions.contains(need.version)) continue;
    const auto family = need.version.substr(0, need.version.find('_') + 1);
    const auto newest = Newest(found.versions, family);
    return LoadProblem{
        LoadProblem::Kind::kVersion,
        fmt::format("it needs {} of {}, and this host has {}", need.version, library,
                    newest.empty() ? "another version" : newest + " at most"),
        "install a build for an older C library (a manylinux wheel), or build it on this host",
        {}};
  }
  return std::nullopt;
}

std::optional<LoadProblem> Libraries::CheckNow(const std::string& inside, const ElfFile& file) {
  if (!file.native) {
    return LoadProblem{
        LoadProblem::Kind::kMachine,
        fmt::format("it is built for {}, and this machine is {}", file.machine, HostMachine()),
        fmt::format("install the build for {}", HostMachine()),
        {}};
  }
  if (const auto missing = file.isa_needed & ~HostIsa()) {
    return LoadProblem{
        LoadProblem::Kind::kIsa,
        fmt::format("it is built for processors with {}, which this one has not", IsaName(missing)),
        "install or build it for x86-64 without that",
        {}};
  }
  for (const auto& library : file.needed) {
    const auto at = Resolve(library, inside, file);
    if (!at && bundled_.contains(library)) continue;
    if (!at) return MissingLibrary(library);
    const auto& found = Read(*at);
    if (!found || !*found) continue;  // Check says so, of itself
    if (auto problem = CheckVersions(file, library, **found)) return problem;
    const bool packaged = at->starts_with("/var/task/") || at->starts_with("/opt/");
    if (!packaged) continue;  // the host's own are sound
    if (auto problem = Check(*at)) {
      problem->text = fmt::format("it needs {}, and of that: {}", *at, problem->text);
      return problem;
    }
  }
  return std::nullopt;
}

std::optional<LoadProblem> Libraries::Check(const std::string& inside) {
  // Libraries may need each other: while one is looked at it counts as sound.
  const auto [known, fresh] = checked_.emplace(inside, std::nullopt);
  if (!fresh) return known->second;
  const auto& file = Read(inside);
  std::optional<LoadProblem> problem;
  if (!file) {
    problem = LoadProblem{
        LoadProblem::Kind::kDamaged, file.error().message, "make the package again", {}};
  } else if (*file) {
    problem = CheckNow(inside, **file);
  }
  checked_[inside] = problem;
  return problem;
}

}  // namespace samovar
