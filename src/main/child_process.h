#pragma once
// RunChild: runs a build tool (pip, npm, make) and hands its output on line by line.
// Errors   kInvalid when the program is not there. How it ended is the answer, not an error.
// Threads  One call, one thread; blocks until the program ends.

#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"

namespace samovar {

struct ChildCall {
  std::vector<std::string> argv;                                 // argv[0] is looked up on PATH
  std::string folder;                                            // to run in
  std::vector<std::pair<std::string, std::string>> environment;  // set beside the caller's
  bool in_place = false;                // it writes into the folder that it runs in (make)
  std::vector<std::string> readable{};  // what it reads elsewhere
};

// The exit status; 128 + N for signal N. Standard output and error come mixed; input is empty.
Result<int> RunChild(const ChildCall& call,
                     const std::function<void(std::string_view line)>& on_line);

}  // namespace samovar
