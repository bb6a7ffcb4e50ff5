#pragma once
// RuntimeCatalog: which of Lambda's runtimes this host can run, and with what.
//
// Why      Users bring code for "python3.11"; the host has interpreters in many places, some behind
//          pyenv's shims, some where only root can look.
// How      Every candidate on PATH, in pyenv's and nvm's folders and in configured ones is run once
//          and asked what it is. Of one runtime the highest patch level wins; among equals the one
//          that was found first (configured folders, then PATH, then the rest).
// Errors   Find: kInvalid, naming the runtimes that are there.
// Threads  Plain data once discovered. Discover blocks and starts processes; it is called before
//          the server gives up its privileges, which may be needed to see an interpreter.

#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

struct Runtime {
  enum class Kind { kPython, kNode, kProvided, kOnnx, kImage };
  Kind kind = Kind::kProvided;
  std::string name;                 // "python3.11", "nodejs20.x", "provided.al2023", "onnx"
  std::string version;              // "3.11.7"; empty for provided
  std::string interpreter;          // absolute, links resolved; empty for provided
  std::vector<std::string> mounts;  // host folders it needs beside /usr, seen at the same path
};

struct RuntimeSearch {
  std::vector<std::string> python_paths;  // interpreters, or folders of them
  std::vector<std::string> node_paths;
  std::string runtimes_dir;  // holds onnx/, the model worker and its library; empty: no models
  std::string path;          // as $PATH; empty: the environment's
  std::string home;          // empty: the environment's
};

class RuntimeCatalog {
 public:
  struct UnusableEntry {
    std::string path;
    std::string reason;
  };

  static RuntimeCatalog Discover(const RuntimeSearch& search);

  Result<Runtime> Find(std::string_view name) const;             // "image" too, which needs nothing
  const std::vector<Runtime>& All() const { return runtimes_; }  // sorted by kind and version
  const std::vector<UnusableEntry>& Unusable() const { return unusable_; }

 private:
  std::vector<Runtime> runtimes_;
  std::vector<UnusableEntry> unusable_;
};

// Negative, zero or positive as `a` is older than, equal to or newer than `b` ("3.9.18", "3.11.2").
int CompareVersions(std::string_view a, std::string_view b);

}  // namespace samovar
