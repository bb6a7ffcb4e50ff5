#include "packages/inventory.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>

#include "os/fd.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

bool LooksNative(const fs::directory_entry& entry, const std::string& name) {
  std::error_code ignored;
  const auto run = fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
  return name.find(".so") != name.npos || name.ends_with(".node") || name == "bootstrap" ||
         (entry.status(ignored).permissions() & run) != fs::perms::none;
}

bool BeginsAsElf(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
  char begin[4];
  return file && ::pread(file.Get(), begin, 4, 0) == 4 &&
         std::string_view(begin, 4) == std::string_view("\177ELF", 4);
}

// python/lib/python3.9 of a layer that serves several Pythons.
bool OfAnotherPython(const fs::path& inside, const std::string& runtime) {
  const std::string name = inside.filename();
  return name.starts_with("python3.") && name != runtime &&
         inside.parent_path().filename() == "lib" && runtime.starts_with("python");
}

class Walk {
 public:
  Walk(Inventory& found, const std::string& runtime, std::chrono::steady_clock::time_point end)
      : found_(found), runtime_(runtime), end_(end) {}

  void Root(const SandboxView::Place& root) {
    std::error_code failed;
    const fs::path top = fs::path(root.source);
    // Where links may lead to.
    real_top_ = fs::canonical(top, failed).string();
    if (failed) return;
    auto options = fs::directory_options::skip_permission_denied;
    for (fs::recursive_directory_iterator at(top, options, failed), end; !failed && at != end;
         at.increment(failed)) {
      if ((++seen_ & 255) == 0 && std::chrono::steady_clock::now() > end_) {
        found_.whole = false;
        return;
      }
      const std::string relative = at->path().string().substr(root.source.size());
      const std::string inside = root.target + (relative.starts_with('/') ? "" : "/") + relative;
      if (at->is_symlink(failed)) {
        TakeLink(*at, inside);
        if (at->is_directory(failed)) at.disable_recursion_pending();
      } else if (at->is_directory(failed)) {
        if (OfAnotherPython(inside, runtime_)) at.disable_recursion_pending();
        if (inside.ends_with(".dist-info")) found_.wheels.push_back(ReadWheel(at->path(), inside));
      } else if (at->is_regular_file(failed)) {
        TakeFile(*at, inside);
      }
      failed.clear();
    }
  }

 private:
  void TakeFile(const fs::directory_entry& entry, const std::string& inside) {
    ++found_.files;
    found_.all.insert(inside);
    if (LooksNative(entry, entry.path().filename()) && BeginsAsElf(entry.path())) {
      found_.natives.push_back({inside, entry.path()});
    }
  }

  void TakeLink(const fs::directory_entry& entry, const std::string& inside) {
    ++found_.files;
    found_.all.insert(inside);
    std::error_code failed;
    const std::string end = fs::weakly_canonical(entry.path(), failed).string();
    const bool escapes = !failed && end != real_top_ && !end.starts_with(real_top_ + "/");
    if (escapes || failed || !fs::exists(entry.path(), failed)) {
      found_.bad_links.push_back({inside, escapes});
    }
  }

  Inventory& found_;
  const std::string& runtime_;
  const std::chrono::steady_clock::time_point end_;
  std::string real_top_;
  std::size_t seen_ = 0;
};

}  // namespace

Inventory TakeInventory(const std::vector<SandboxView::Place>& roots, const std::string& runtime,
                        std::chrono::steady_clock::time_point end) {
  Inventory found;
  Walk walk(found, runtime, end);
  for (const auto& root : roots) walk.Root(root);
  std::ranges::sort(found.natives, {}, &NativeFile::inside);
  std::ranges::sort(found.bad_links, {}, &BadLink::inside);
  return found;
}

}  // namespace samovar
