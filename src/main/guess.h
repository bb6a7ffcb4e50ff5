#pragma once
// GuessFunction: a function out of a folder without a template, and what was guessed, in words.
// Errors   kInvalid when nothing in the folder looks like a function.
// Threads  One; reads the folder.

#include <map>
#include <string>
#include <vector>

#include "main/build_package.h"
#include "main/plan.h"

namespace samovar {

struct GuessInput {
  std::string folder;
  std::string name, runtime, handler;  // as given by the user; "" to guess
  std::map<std::string, Interpreter> runtimes;
  std::string account_id = "000000000000";
};

struct Guess {
  FunctionPlan function;
  std::vector<std::string> guessed;  // "handler app.handler (app.py defines handler)"
};

Result<Guess> GuessFunction(const GuessInput& input);

}  // namespace samovar
