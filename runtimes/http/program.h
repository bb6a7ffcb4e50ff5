#pragma once
// Program: the image's own program, which listens for HTTP, as a child of ours.
// Errors   kInvalid where it cannot be run; kUnavailable where it ends or does not listen.
// Threads  One.

#include <sys/types.h>

#include <boost/asio/ip/tcp.hpp>
#include <string>

#include "base/error.h"
#include "base/task.h"

namespace samovar {

class Program {
 public:
  // argv ends with a null pointer; its environment is ours.
  static Result<Program> Start(char** argv);

  // Until it takes connections at the port. kUnavailable, and how it ended, where it ends before.
  Task<Result<void>> WaitUntilItListens(asio::ip::tcp::endpoint door);
  // "exited with status 3", once it has ended; "" before.
  std::string Ended();
  void Terminate();

 private:
  explicit Program(pid_t pid) : pid_(pid) {}

  pid_t pid_;
  std::string ended_;
};

}  // namespace samovar
