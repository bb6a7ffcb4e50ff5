#pragma once
// RunChild: runs a build tool (pip, npm, make) and hands its output on line by line. ChildLines:
// the same for a reader that asks for one line after the other.
// Errors   kInvalid when the program is not there. How it ended is the answer, not an error.
// Threads  One call, one thread; blocks until the program ends, or has a line.

#include <sys/types.h>

#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

struct ChildCall {
  std::vector<std::string> argv;                                 // argv[0] is looked up on PATH
  std::string folder;                                            // to run in
  std::vector<std::pair<std::string, std::string>> environment;  // set beside the caller's
  bool in_place = false;                // it writes into the folder that it runs in (make)
  std::vector<std::string> readable{};  // what it reads elsewhere
  std::vector<std::string> writable{};  // folders that it writes to
  // Whether it may run code of packages or of the project. Only what does not gets the caches that
  // all builds share.
  bool runs_code = true;
  bool itself = false;  // gets this program's own file as kItself
};

// How this program runs itself: by what is open, as its file's name may be another's by now, after
// an update. kThisProgram is for its direct child; kItself for what that runs, also in a root of
// its own.
inline constexpr const char* kThisProgram = "/proc/self/exe";
inline constexpr int kItself = 3;

// A program that runs. One that is dropped before its end is killed.
class ChildLines {
 public:
  static Result<ChildLines> Start(const ChildCall& call);
  ChildLines(ChildLines&&) noexcept;
  ChildLines& operator=(ChildLines&&) = delete;
  ~ChildLines();

  // Without its end; nullopt when there are no more.
  std::optional<std::string> Next();
  int Wait();  // as RunChild's
  pid_t Process() const { return child_; }

 private:
  ChildLines(pid_t child, Fd output) : child_(child), output_(std::move(output)) {}

  pid_t child_;
  Fd output_;
  std::string rest_;
  std::size_t at_ = 0;  // of the next line in rest_
};

// The exit status; 128 + N for signal N. Standard output and error come mixed; input is empty.
// `on_start` is told the process before the first line.
Result<int> RunChild(const ChildCall& call,
                     const std::function<void(std::string_view line)>& on_line,
                     const std::function<void(pid_t)>& on_start = {});

}  // namespace samovar
