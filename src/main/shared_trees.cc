#include "main/shared_trees.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <gnu/libc-version.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>

#include "os/fd.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

constexpr auto kKept = std::chrono::days(30);
constexpr auto kHalfMade = std::chrono::days(1);  // no build takes that long
constexpr const char* kHalf = ".new";

// "" where there is no home.
fs::path Folder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME"); cache != nullptr && *cache == '/') {
    return fs::path(cache) / "samovar/trees";
  }
  const char* home = std::getenv("HOME");
  return home != nullptr && *home == '/' ? fs::path(home) / ".cache/samovar/trees" : fs::path();
}

void RemoveUnused(const fs::path& folder) {
  std::error_code error, ignored;
  for (fs::directory_iterator at(folder, error), end; !error && at != end; at.increment(error)) {
    const auto used = fs::last_write_time(at->path(), ignored);
    const bool half = at->path().string().find(kHalf) != std::string::npos;
    const auto age = fs::file_time_type::clock::now() - used;
    if (!ignored && age > (half ? kHalfMade : kKept)) fs::remove_all(at->path(), ignored);
  }
}

}  // namespace

std::string FindSharedTree(const std::string& key) {
  const auto folder = Folder();
  std::error_code error;
  if (folder.empty() || !fs::is_directory(folder / key, error)) return "";
  fs::last_write_time(folder / key, fs::file_time_type::clock::now(), error);
  return (folder / key).string();
}

Result<std::string> MakeSharedTree(const std::string& key,
                                   const std::function<Result<bool>(const fs::path&)>& make) {
  const auto folder = Folder();
  if (folder.empty()) return "";
  std::error_code error;
  const auto staging = folder / fmt::format("{}{}.{}", key, kHalf, ::getpid());
  fs::remove_all(staging, error);
  fs::create_directories(staging, error);
  if (error) return Fail(Code::kInvalid, staging.string() + ": " + error.message());
  auto made = make(staging);
  if (made && *made) {
    // Else a power cut could leave a tree of empty files under its name.
    const Fd synced(::open(staging.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    if (!synced || ::syncfs(synced.Get()) != 0) return std::unexpected(ErrnoError("sync a tree"));
    fs::rename(staging, folder / key, error);  // fails where another build was faster: the same
  }
  fs::remove_all(staging, error);
  TRY(const bool done, std::move(made));
  RemoveUnused(folder);
  return done ? FindSharedTree(key) : "";
}

std::string PlatformText() {
  utsname at{};
  ::uname(&at);
  return fmt::format("{} glibc {}", at.machine, ::gnu_get_libc_version());
}

}  // namespace samovar
