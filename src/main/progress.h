#pragma once
// Progress: how far a long piece of work is, on standard error.
//
// How      On a terminal one line that is rewritten at most ten times a second; elsewhere a line at
//          the start, at each quarter of what takes longer than a second, and at the end.
// Threads  One.

#include <cstdint>
#include <string>

#include "base/clock.h"
#include "main/terminal.h"

namespace samovar {

class Progress {
 public:
  Progress(const Terminal& terminal, const Clock& clock, std::string label);
  ~Progress();  // leaves no half line behind
  Progress(const Progress&) = delete;

  // In bytes; total 0: not known.
  void Bytes(std::uint64_t done, std::uint64_t total);
  // What is going on just now, e.g. a line of pip's.
  void Note(const std::string& text);
  // Ends the work with one line that stays.
  void Done(const std::string& text);

 private:
  void Rewrite(const std::string& text);

  const Terminal& terminal_;
  const Clock& clock_;
  std::string label_;
  SteadyTime started_;
  SteadyTime last_drawn_{};
  std::uint64_t last_quarter_ = 0;
  bool drawn_ = false;
  bool done_ = false;
};

// "12.3 MB", for people (binary).
std::string HumanSize(std::uint64_t bytes);

}  // namespace samovar
