#include "main/guess.h"

#include <fmt/format.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <sstream>

namespace samovar {

namespace fs = std::filesystem;

namespace {

std::string ReadIfThere(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

struct Candidate {
  const char* file;
  const char* family;
};
constexpr Candidate kCandidates[] = {
    {"lambda_function.py", "python"},
    {"app.py", "python"},
    {"main.py", "python"},
    {"handler.py", "python"},
    {"index.py", "python"},
    {"index.mjs", "nodejs"},
    {"index.js", "nodejs"},
    {"index.cjs", "nodejs"},
    {"app.mjs", "nodejs"},
    {"app.js", "nodejs"},
    {"handler.js", "nodejs"},
    {"bootstrap", "provided"},
    {"model.onnx", "onnx"},
    {"Cargo.toml", "provided"},
    {"CMakeLists.txt", "provided"},
    {"Makefile", "provided"},
};

// "3.12.1" as something that compares.
std::vector<int> Numbers(const std::string& version) {
  std::vector<int> out;
  std::istringstream in(version);
  for (std::string part; std::getline(in, part, '.');) out.push_back(std::atoi(part.c_str()));
  return out;
}

std::string NewestRuntime(const std::map<std::string, Interpreter>& runtimes,
                          const std::string& family) {
  std::string best;
  std::vector<int> best_version;
  for (const auto& [name, interpreter] : runtimes) {
    if (!name.starts_with(family)) continue;
    const std::vector<int> version = Numbers(interpreter.version);
    if (best.empty() || version > best_version) {
      best = name;
      best_version = version;
    }
  }
  return best;
}

// The handler's function: the first of the usual names that the source defines.
std::string HandlerFunction(const std::string& source, bool python) {
  for (const char* name : {"lambda_handler", "handler", "main"}) {
    const std::string definition = fmt::format("def {}(", name);
    const std::string export_form = fmt::format("exports.{}", name);
    if (python && source.find(definition) != std::string::npos) return name;
    if (!python && source.find(export_form) != std::string::npos) return name;
    if (!python && source.find("export") != std::string::npos &&
        (source.find(fmt::format("function {}", name)) != std::string::npos ||
         source.find(fmt::format("const {}", name)) != std::string::npos)) {
      return name;
    }
  }
  return "";
}

std::string NameOfFolder(const std::string& folder) {
  std::error_code error;
  return NameFrom(fs::weakly_canonical(folder, error).filename());
}

const Candidate* FindCandidate(const GuessInput& input) {
  for (const Candidate& candidate : kCandidates) {
    std::error_code error;
    if (!fs::is_regular_file(fs::path(input.folder) / candidate.file, error)) continue;
    if (input.runtime.empty() || input.runtime.starts_with(candidate.family)) return &candidate;
  }
  return nullptr;
}

}  // namespace

std::string NameFrom(const std::string& text) {
  std::string name;
  for (const char c : text) {
    const bool fits = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                      c == '-' || c == '_';
    name += fits ? c : '-';
  }
  return name.substr(0, 64);
}

Result<Guess> GuessFunction(const GuessInput& input) {
  if (IsModelFile(input.folder)) return GuessModel(input);
  Guess guess;
  FunctionPlan& function = guess.function;
  function.name = input.name.empty() ? NameOfFolder(input.folder) : input.name;
  if (input.name.empty()) guess.guessed.push_back("name " + function.name + " (the folder's)");
  function.logical_id = function.name;
  function.code.path = ".";
  function.partial = true;
  std::string runtime = input.runtime, handler = input.handler;
  const Candidate* candidate = FindCandidate(input);
  if (candidate == nullptr && (runtime.empty() || handler.empty())) {
    return Fail(
        Code::kInvalid,
        fmt::format("{}: no template.yaml, and no app.py, lambda_function.py, index.js, "
                    "bootstrap, Makefile or model.onnx to guess from; say --runtime and --handler",
                    input.folder));
  }
  if (runtime.empty()) {
    const std::string family = candidate->family;
    runtime = family == "provided"      ? "provided.al2023"
              : family == kModelRuntime ? kModelRuntime
                                        : NewestRuntime(input.runtimes, family);
    if (runtime.empty()) {
      return Fail(Code::kInvalid, fmt::format("{} needs a {} runtime, and the server has none; see "
                                              "`samovar runtimes`",
                                              candidate->file, family));
    }
    guess.guessed.push_back(fmt::format("runtime {} (for {})", runtime, candidate->file));
  }
  if (handler.empty() && runtime.starts_with("provided")) {
    handler = "bootstrap";
  } else if (handler.empty() && runtime == kModelRuntime) {
    handler = "model.onnx";
  } else if (handler.empty()) {
    const fs::path file = fs::path(input.folder) / candidate->file;
    const std::string name = HandlerFunction(ReadIfThere(file), runtime.starts_with("python"));
    if (name.empty()) {
      return Fail(Code::kInvalid, fmt::format("{} defines no lambda_handler, handler or main; say "
                                              "--handler {}.FUNCTION",
                                              file.string(), file.stem().string()));
    }
    handler = fmt::format("{}.{}", file.stem().string(), name);
    guess.guessed.push_back(
        fmt::format("handler {} ({} defines {})", handler, candidate->file, name));
  }
  function.configuration["Runtime"] = runtime;
  function.configuration["Handler"] = handler;
  if (runtime == kModelRuntime) {
    TRY(GuessMemory(input, fs::path(input.folder) / handler, guess));
  }
  function.configuration["Role"] = "arn:aws:iam::" + input.account_id + ":role/samovar";
  return guess;
}

}  // namespace samovar
