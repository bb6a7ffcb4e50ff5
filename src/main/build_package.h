#pragma once
// BuildPackage: from a function's code folder to a package (zip) that is ready to be sent.
//
// How      requirements.txt and the like are installed by uv for the very interpreter of the
//          runtime, package.json by npm, programs built by make, cmake or cargo; what they make is
//          kept in PROJECT/.samovar-build/ under a hash of what went in, so a second deployment
//          installs nothing. Python dependencies are compiled beforehand (hash-based .pyc, which
//          hold wherever they are unpacked), as an instance cannot write and would compile at every
//          cold start. A package whose files did not change (names, sizes, inode times) is not even
//          read again.
// Errors   kInvalid, with the last lines of the tool that failed.
// Threads  One.

#include <functional>
#include <map>
#include <optional>
#include <string>

#include "base/clock.h"
#include "main/build_sandbox.h"
#include "main/package_manifest.h"
#include "main/plan.h"
#include "main/terminal.h"
#include "main/zip_folder.h"

namespace samovar {

// An interpreter of the server's (GET /samovar/v1/runtimes).
struct Interpreter {
  std::string path;
  std::string version;
};

struct BuildContext {
  std::string project;       // folder of the template; paths of code are relative to it
  std::string build_folder;  // PROJECT/.samovar-build
  std::map<std::string, Interpreter> runtimes;  // by name, "python3.11"
  const Terminal& terminal;
  const Clock& clock;
  BuildSandbox* sandbox = nullptr;  // where tools run; null: as the caller's own programs
  bool manifests = false;  // a package is the list of its files, as the server has many of them
};

struct BuildOrder {
  std::string id;  // logical id; names files in the build folder
  CodeSource code;
  std::string runtime;  // "python3.11"; of a layer: its build method
  std::string handler;
  bool layer = false;
};

struct BuiltPackage {
  std::string file;    // the zip, or the manifest; "" for code that is uploaded already
  std::string sha256;  // hex
  std::uint64_t size = 0;
  std::string note;  // "pip installed 12 packages", for people
  std::optional<PackageManifest> manifest{};
};

// Whether the server has a package; then it need not be written at all.
using PackageKnown = std::function<bool(const std::string& sha256)>;

Result<BuiltPackage> BuildPackage(const BuildContext& context, const BuildOrder& order,
                                  const PackageKnown& known);

}  // namespace samovar
