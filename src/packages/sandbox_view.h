#pragma once
// SandboxView: a path as a function sees it, and where that file is for whoever checks.
//
// Why      A package is checked inside the very sandbox it will run in, where both are the same;
//          and by `samovar check`, which has only a folder and the host it stands on.
// How      /var/task, /opt and an interpreter's own folder lie where they are said to lie; of the
//          host only what every sandbox shows (/usr without /usr/local, /lib and the like).
// Errors   Find: nullopt where the function would see nothing there.
// Threads  Immutable.

#include <optional>
#include <string>
#include <vector>

namespace samovar {

class SandboxView {
 public:
  struct Place {
    std::string target;  // "/var/task", inside
    std::string source;  // a folder, outside
  };

  // Inside a sandbox: everything is where it is.
  SandboxView() = default;
  // Later places win where two show the same path, as layers do.
  explicit SandboxView(std::vector<Place> places) : places_(std::move(places)), outside_(true) {}

  // The host's path of a file or folder that exists (links followed), or nullopt.
  std::optional<std::string> Find(const std::string& inside) const;

 private:
  std::vector<Place> places_;
  bool outside_ = false;
};

}  // namespace samovar
