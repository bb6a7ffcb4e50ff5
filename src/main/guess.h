#pragma once
// GuessFunction: a function out of a folder without a template or out of a model file, and what was
// guessed, in words.
// Errors   kInvalid when nothing in the folder looks like a function, or the file is no model.
// Threads  One; reads the folder.

#include <functional>
#include <map>
#include <string>
#include <vector>

#include "main/build_package.h"
#include "main/plan.h"

namespace samovar {

struct GuessInput {
  std::string folder;                                 // or the path of a model file
  std::string name = {}, runtime = {}, handler = {};  // as given by the user; "" to guess
  std::map<std::string, Interpreter> runtimes = {};
  std::string account_id = "000000000000";
  // Whether the server has a function of this name, whose memory then stays as it is.
  std::function<bool(const std::string& name)> exists = {};
};

struct Guess {
  FunctionPlan function;
  std::vector<std::string> guessed;  // "handler app.handler (app.py defines handler)"
};

// A function's name out of that of a file or folder.
std::string NameFrom(const std::string& text);
Result<Guess> GuessFunction(const GuessInput& input);

inline constexpr const char* kModelRuntime = "onnx";

// Whether what is to be deployed is a model file, not a folder or template.
bool IsModelFile(const std::string& path);
// A function whose code is that file (GuessInput::folder is its path).
Result<Guess> GuessModel(const GuessInput& input);
// Files that belong to a model: the data files that it names, and a samovar.yaml beside it. Paths
// relative to its folder, sorted. kInvalid, saying what to do, where the file is no model or names
// a file that is not there.
Result<std::vector<std::string>> ModelCompanions(const std::string& model_file);
// MB for a model whose files have so many bytes.
std::uint64_t ModelMemory(std::uint64_t bytes);
// Puts the memory of a model into its function, unless the server knows the function.
Result<void> GuessMemory(const GuessInput& input, const std::string& model_file, Guess& guess);

}  // namespace samovar
