#pragma once
// Libraries: whether the dynamic loader could load a file in a function's sandbox, and if not, why.
//
// How      The loader's own rules: each DT_NEEDED is looked for in DT_RPATH, LD_LIBRARY_PATH,
//          DT_RUNPATH, the loader's cache and its standard folders; the library found must be for
//          this machine and define the versions that are asked of it. What a needed library lacks
//          is what the file lacks. A library that the package holds anywhere counts as there:
//          Python packages load theirs beforehand, by path.
// Errors   Problem says what is wrong; nullopt: nothing is.
// Threads  One.
// Source   ld.so(8); glibc elf/dl-load.c, elf/dl-version.c.

#include <functional>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "packages/elf_file.h"
#include "packages/sandbox_view.h"

namespace samovar {

struct LoadProblem {
  enum class Kind { kDamaged, kMachine, kAbi, kMusl, kLibrary, kVersion, kIsa };
  Kind kind = Kind::kDamaged;
  std::string text;     // "it is built for aarch64, and this machine is x86_64"
  std::string remedy;   // "apt-get install libgomp1", or ""
  std::string library;  // kLibrary: the soname that is not there
};

class Libraries {
 public:
  // `search`: LD_LIBRARY_PATH. `bundled`: sonames and file names of libraries in the package.
  Libraries(const SandboxView& view, std::vector<std::string> search,
            std::set<std::string> bundled);

  // `inside`: the path of a file as the function sees it.
  std::optional<LoadProblem> Check(const std::string& inside);

 private:
  std::optional<LoadProblem> CheckNow(const std::string& inside, const ElfFile& file);
  std::optional<LoadProblem> CheckVersions(const ElfFile& file, const std::string& library,
                                           const ElfFile& found);
  std::optional<std::string> Resolve(const std::string& library, const std::string& inside,
                                     const ElfFile& file);
  const Result<std::optional<ElfFile>>& Read(const std::string& inside);

  const SandboxView& view_;
  const std::vector<std::string> search_;
  const std::set<std::string> bundled_;
  std::map<std::string, std::string> cache_;  // soname -> path, of the loader's cache
  std::map<std::string, Result<std::optional<ElfFile>>> read_;  // by path inside
  std::map<std::string, std::optional<LoadProblem>> checked_;   // by path inside
};

// The Debian package that has a library, or "" where that is not known.
std::string_view DebianPackageOf(std::string_view soname);

// "GLIBC_2.36": the newest version of the C library that the sandbox's own defines, or "".
std::string NewestGlibc(const ElfFile& libc);

}  // namespace samovar
