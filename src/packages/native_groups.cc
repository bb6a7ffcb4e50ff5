#include "packages/native_groups.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <filesystem>
#include <map>
#include <optional>
#include <regex>

namespace samovar {
namespace {

namespace fs = std::filesystem;

// Wheels link these and go on without: drivers, and accelerators that are not packaged.
constexpr std::array<std::string_view, 7> kOptional = {
    "libcuda.so.1",   "libnvidia-ml.so.1", "libtbb.so.12", "libhdfs.so.0.0.0",
    "librdmacm.so.1", "libibverbs.so.1",   "libmlx5.so.1"};

// One thing that code asks for by name; it may be there in several builds.
struct Entry {
  std::string file;  // of the first build that failed
  std::optional<LoadProblem> problem;
  bool sound = false;
};

struct Group {
  std::string title;  // "numpy 1.26.4", "node_modules/sharp", or "" for loose files
  const Wheel* wheel = nullptr;
  std::map<std::string, Entry> modules;    // what import and require load
  std::map<std::string, Entry> libraries;  // others
};

std::string Relative(const std::string& inside) {
  return inside.starts_with("/var/task/") ? inside.substr(10) : inside;
}

bool IsOptional(const LoadProblem& problem) {
  return std::ranges::find(kOptional, problem.library) != kOptional.end();
}

// "cpython-312-x86_64-linux-gnu" of a module's name: which Python it is for, in words.
std::string OtherPython(std::string_view tag, std::string_view machine) {
  int digits = 0;
  const auto rest = tag.substr(std::min(tag.find('-') + 1, tag.size()));
  const auto read = std::from_chars(rest.data(), rest.data() + rest.size(), digits);
  std::string text = read.ec == std::errc() && digits >= 30
                         ? fmt::format("CPython {}.{}", digits / 100 ? digits / 100 : digits / 10,
                                       digits / 100 ? digits % 100 : digits % 10)
                         : std::string(tag.substr(0, tag.find('-')));
  if (read.ptr != rest.data() + rest.size() && *read.ptr == 't') text += " without its lock";
  if (tag.find(machine) == tag.npos) text += " on another processor";
  return text;
}

class Sorter {
 public:
  Sorter(const PackageCheck& check, const Inventory& inventory)
      : check_(check),
        python_(check.runtime.starts_with("python")),
        minor_(python_ ? std::atoi(check.runtime.c_str() + 8) : 0),
        libraries_(check.view, check.library_path, Bundled(inventory)) {
    for (const auto& wheel : inventory.wheels) {
      for (const auto& file : wheel.files) {
        owners_.emplace(file, &wheel);
        // Builds of a module for other Pythons may lie beside the wheel's own.
        if (file.ends_with(".so")) owners_.emplace(ModuleOf(file), &wheel);
      }
    }
  }

  bool Run(const Inventory& inventory, std::chrono::steady_clock::time_point end) {
    for (const auto& file : inventory.natives) {
      if (std::chrono::steady_clock::now() > end) return false;
      Take(file);
    }
    return true;
  }

  void Report(const Inventory& inventory, std::vector<Finding>& findings) const {
    for (const auto& [key, group] : groups_) Judge(group, inventory, findings);
  }

 private:
  static std::set<std::string> Bundled(const Inventory& inventory) {
    std::set<std::string> names;
    for (const auto& file : inventory.natives) {
      names.insert(fs::path(file.inside).filename());
      if (auto elf = ReadElf(file.outside); elf && *elf && (*elf)->native)
        names.insert((*elf)->soname);
    }
    names.erase("");
    return names;
  }

  Group& GroupOf(const std::string& inside) {
    auto owner = owners_.find(inside);
    if (owner == owners_.end()) owner = owners_.find(ModuleOf(inside));
    if (python_ && owner != owners_.end()) {
      auto& group = groups_[owner->second->site + "//" + owner->second->name];
      group.wheel = owner->second;
      group.title = owner->second->Title();
      return group;
    }
    if (const auto at = inside.rfind("node_modules/"); at != inside.npos) {
      static const std::regex kPlatform(
          R"((-(linux|linuxmusl|darwin|win32|freebsd|android|x64|arm64|arm|ia32|riscv64|s390x|ppc64|gnu|musl|gnueabihf|musleabihf|msvc|glibc|libc))+$)");
      auto rest = inside.substr(at + 13);
      auto end = rest.find('/');
      if (rest.starts_with('@') && end != rest.npos) end = rest.find('/', end + 1);
      const auto name = std::regex_replace(rest.substr(0, end), kPlatform, "");
      auto& group = groups_[inside.substr(0, at + 13) + name];
      group.title = "node_modules/" + name;
      return group;
    }
    // The first folder under the package's top; the .libs folder of a wheel goes with it.
    const auto top = inside.starts_with("/opt/") ? std::string_view("/opt/") : "/var/task/";
    const auto rest = inside.substr(std::min(top.size(), inside.size()));
    const auto slash = rest.find('/');
    if (slash == rest.npos) return groups_[inside];  // each loose file by itself
    auto name = rest.substr(0, slash);
    if (name.ends_with(".libs")) name.resize(name.size() - 5);
    return groups_[std::string(top) + name];
  }

  void Take(const NativeFile& file) {
    const std::string name = fs::path(file.inside).filename();
    auto& group = GroupOf(file.inside);
    if (python_ && name.ends_with(".so")) {
      const auto dot = name.find('.');
      const std::string stem = name.substr(0, dot), tag = name.substr(dot + 1);
      const bool tagged =
          tag.starts_with("cpython-") || tag == "abi3.so" || tag.starts_with("pypy");
      if (tagged || (tag == "so" && DefinesSymbol(file.outside, "PyInit_" + stem))) {
        return Add(group.modules[ModuleOf(file.inside)], file, WrongPython(tag));
      }
    }
    if (name.ends_with(".node")) {
      // Builds for several platforms lie side by side: the file's name is what they share.
      return Add(group.modules[Stem(name)], file, std::nullopt);
    }
    if (name == "bootstrap" && check_.runtime.starts_with("provided")) {
      return Add(group.modules[file.inside], file, std::nullopt);
    }
    Add(group.libraries[file.inside], file, std::nullopt);
  }

  // "/var/task/a/b.cpython-311-x86_64-linux-gnu.so" -> "/var/task/a/b"
  static std::string ModuleOf(const std::string& inside) {
    return inside.substr(0, inside.find('.', inside.rfind('/') + 1));
  }

  static std::string Stem(const std::string& name) { return name.substr(0, name.find('.')); }

  // What Python never looks at under this name.
  std::optional<LoadProblem> WrongPython(const std::string& tag) const {
    const auto own = fmt::format("cpython-3{}-{}-linux-gnu.so", minor_, HostMachine());
    if (tag == "so" || tag == "abi3.so" || tag == own) return std::nullopt;
    const bool musl = tag.find("-musl") != tag.npos;
    auto built = OtherPython(tag.substr(0, tag.find('.')), HostMachine());
    return LoadProblem{
        musl ? LoadProblem::Kind::kMusl : LoadProblem::Kind::kAbi,
        fmt::format("it is built for {}{}, and the function runs on {} {}", built,
                    musl ? " on musl (Alpine Linux)" : "", check_.runtime, HostMachine()),
        "",
        {}};
  }

  void Add(Entry& entry, const NativeFile& file, std::optional<LoadProblem> problem) {
    if (entry.sound) return;
    // What the file itself says is plainer than its name.
    if (auto more = libraries_.Check(file.inside)) problem = std::move(more);
    entry.sound = !problem;
    if (problem && !entry.problem) {
      entry.problem = std::move(problem);
      entry.file = file.inside;
    }
  }

  void Judge(const Group& group, const Inventory& inventory, std::vector<Finding>& findings) const {
    const bool modules = !group.modules.empty();
    const auto& entries = modules ? group.modules : group.libraries;
    std::size_t failing = 0;
    const Entry* first = nullptr;
    const Entry* torn = nullptr;  // it misses what its own wheel brought
    for (const auto& [key, entry] : entries) {
      if (entry.sound) continue;
      ++failing;
      if (!first || (IsOptional(*first->problem) && !IsOptional(*entry.problem))) first = &entry;
      if (!torn && IsTorn(group, inventory, *entry.problem)) torn = &entry;
    }
    if (!first) return;
    if (torn) first = torn;
    const bool all = failing == entries.size();
    // A library among others is what somebody may load, or nobody: wheels bring plug-ins.
    if (!modules && !all) return;
    const bool optional = IsOptional(*first->problem);
    if (optional && !all) return;
    // Loose programs and libraries for other machines do no harm until they are called for.
    const bool loose = !modules && !group.wheel;
    findings.push_back(Describe(group, *first, entries.size(), failing,
                                torn || (all && !optional && !loose), torn != nullptr));
  }

  bool IsTorn(const Group& group, const Inventory& inventory, const LoadProblem& problem) const {
    if (!group.wheel || problem.library.empty()) return false;
    return std::ranges::any_of(group.wheel->files, [&](const std::string& file) {
      return fs::path(file).filename() == problem.library && !inventory.all.contains(file);
    });
  }

  Finding Describe(const Group& group, const Entry& entry, std::size_t count, std::size_t failing,
                   bool hopeless, bool torn) const {
    Finding finding{.hopeless = hopeless,
                    .file = Relative(entry.file),
                    .problem = entry.problem->text,
                    .remedy = entry.problem->remedy};
    std::string of = group.title.empty() ? "" : group.title;
    const auto others = group.wheel && python_ && !torn
                            ? BuiltForOthers(*group.wheel, minor_, HostMachine())
                            : std::nullopt;
    if (others) {
      finding.problem =
          fmt::format("{} was installed for {}, and the function runs on {}, {} and glibc", of,
                      *others, check_.runtime, HostMachine());
      of.clear();
    }
    if (torn) {
      finding.problem = fmt::format("it needs {}, which its wheel has and the package has not",
                                    entry.problem->library);
      finding.remedy = "install the dependencies again, and leave none of their files out";
    } else if (others || finding.remedy.empty()) {
      finding.remedy = fmt::format(
          "install the dependencies for {} on {}, as `samovar deploy` does from requirements.txt",
          check_.runtime, HostMachine());
    }
    if (failing > 1 || failing < count || !of.empty()) {
      finding.problem +=
          fmt::format(" ({}{}{} of {} native modules)", of, of.empty() ? "" : ": ", failing, count);
    }
    return finding;
  }

  const PackageCheck& check_;
  const bool python_;
  const int minor_;
  Libraries libraries_;
  std::map<std::string, const Wheel*> owners_;  // by path inside
  std::map<std::string, Group> groups_;
};

}  // namespace

bool CheckNatives(const PackageCheck& check, const Inventory& inventory,
                  std::chrono::steady_clock::time_point end, std::vector<Finding>& findings) {
  Sorter sorter(check, inventory);
  const bool whole = sorter.Run(inventory, end);
  sorter.Report(inventory, findings);
  return whole;
}

}  // namespace samovar
