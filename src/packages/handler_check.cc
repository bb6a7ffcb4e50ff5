#include "packages/handler_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <sstream>

#include "os/run_program.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::chrono::seconds kParseTime{10};
constexpr std::uint64_t kMaxSource = 4 << 20;

// Prints "ok", "unknown", "missing" or "syntax LINE MESSAGE". It runs isolated (-I -S) and imports
// nothing of the package; argv: the file, the name.
constexpr std::string_view kAskPython = R"PY(
import ast, sys
def bound(body, names):
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)):
            names.add(node.name)
        elif isinstance(node, (ast.Import, ast.ImportFrom)):
            names.update((a.asname or a.name.split('.')[0]) for a in node.names)
        else:
            names.update(n.id for n in ast.walk(node) if isinstance(n, ast.Name) and isinstance(n.ctx, ast.Store))
            for part in ('body', 'orelse', 'finalbody', 'handlers', 'cases'):
                for child in getattr(node, part, []):
                    bound([child] if isinstance(child, ast.stmt) else child.body, names)
try:
    tree = ast.parse(open(sys.argv[1], 'rb').read())
except SyntaxError as error:
    print('syntax', error.lineno or 0, str(error.msg).splitlines()[0])
    sys.exit()
except (ValueError, RecursionError, MemoryError):
    print('unknown')
    sys.exit()
names = set()
bound(tree.body, names)
dynamic = {'globals', 'setattr', 'vars', 'locals', 'exec', 'eval', 'modules', '__dict__', '__import__'}
for node in ast.walk(tree):
    if isinstance(node, ast.Global):
        names.update(node.names)
    if isinstance(node, ast.Name) and node.id in dynamic or isinstance(node, ast.Attribute) and node.attr in dynamic:
        names.add('*')
print('ok' if sys.argv[2] in names else 'unknown' if names & {'*', '__getattr__'} else 'missing')
)PY";

struct Split {
  std::string module, name;
};
// "pkg/app.handler": the last dot parts the module from the name, as the runtimes have it.
std::optional<Split> SplitHandler(const std::string& handler) {
  const auto dot = handler.rfind('.');
  if (dot == handler.npos || dot == 0 || dot + 1 == handler.size()) return std::nullopt;
  return Split{handler.substr(0, dot), handler.substr(dot + 1)};
}

std::string InPackage(const std::string& inside) {
  return inside.starts_with("/var/task/") ? inside.substr(10) : inside;
}

std::string ReadSource(const std::string& path) {
  std::error_code ignored;
  if (fs::file_size(path, ignored) > kMaxSource || ignored) return "";
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

struct Source {
  std::string inside, outside;
};

// The first of FOLDER/MODULE.ENDING that is there.
std::optional<Source> FindSource(const PackageCheck& check, const std::vector<std::string>& folders,
                                 const std::string& module,
                                 const std::vector<std::string>& endings) {
  std::error_code ignored;
  for (const auto& folder : folders) {
    for (const auto& ending : endings) {
      const std::string inside = folder + "/" + module + ending;
      const auto outside = check.view.Find(inside);
      if (outside && fs::is_regular_file(*outside, ignored)) return Source{inside, *outside};
    }
  }
  return std::nullopt;
}

Finding NoSuchFile(const PackageCheck& check, const std::string& file) {
  return {
      .file = file,
      .problem = fmt::format("the handler is {}, and the package has no such file", check.handler),
      .remedy = "name the handler FILE.FUNCTION, or put the file into the package's top folder"};
}

std::optional<Finding> CheckPython(const PackageCheck& check, const Split& handler) {
  std::string module = handler.module;
  std::ranges::replace(module, '.', '/');
  const auto found = FindSource(
      check, {"/var/task", "/opt/python", "/opt/python/lib/" + check.runtime + "/site-packages"},
      module,
      {".py", "/__init__.py", ".pyc", "/__init__.pyc", ".abi3.so", ".so",
       fmt::format(".cpython-3{}-x86_64-linux-gnu.so", check.runtime.substr(8))});
  if (!found) {
    // A module of the interpreter's own, or of a package installed in it: none of ours.
    const auto top = module.substr(0, module.find('/'));
    if (!check.view.Find("/var/task/" + top) && !check.interpreter.empty()) {
      auto has = RunProgram({check.interpreter, "-I", "-c",
                             "import sys,importlib.machinery as m;"
                             "print(sys.argv[1] in sys.builtin_module_names or "
                             "m.PathFinder.find_spec(sys.argv[1]) is not None)",
                             top},
                            kParseTime);
      if (!has || *has == "True\n") return std::nullopt;
    }
    return NoSuchFile(check, module + ".py");
  }
  if (!found->inside.ends_with(".py") || check.interpreter.empty()) return std::nullopt;
  auto said = RunProgram(
      {check.interpreter, "-I", "-S", "-c", std::string(kAskPython), found->outside, handler.name},
      kParseTime);
  if (!said) return std::nullopt;
  const std::string file = InPackage(found->inside);
  if (*said == "missing\n") {
    return Finding{.file = file,
                   .problem = fmt::format("it defines no {}, which the handler {} names",
                                          handler.name, check.handler),
                   .remedy = "name a function that it defines"};
  }
  if (said->starts_with("syntax ")) {
    std::istringstream words(said->substr(7));
    int line = 0;
    std::string message;
    words >> line >> std::ws;
    std::getline(words, message);
    return Finding{
        .file = file,
        .problem = fmt::format("line {} is no Python for {}: {}", line, check.runtime, message),
        .remedy = ""};
  }
  return std::nullopt;
}

std::optional<Finding> CheckNode(const PackageCheck& check, const Split& handler) {
  // "dir/app.handlers.main": after the last slash the first dot ends the file.
  const auto slash = check.handler.rfind('/');
  const auto from = slash == check.handler.npos ? 0 : slash + 1;
  const auto dot = check.handler.find('.', from);
  if (dot == check.handler.npos) return std::nullopt;
  const std::string module = check.handler.substr(0, dot);
  const auto found =
      FindSource(check, {"/var/task"}, module, {"", ".js", ".mjs", ".cjs", "/index.js"});
  if (!found) return NoSuchFile(check, module + ".js");
  const std::string text = ReadSource(found->outside);
  static const std::regex kDynamic(
      R"(export\s*\*|exports\s*=[^=]*require|__exportStar|__reExport|Object\.assign\(\s*(module\.)?exports|exports\s*\[)");
  if (text.empty() || text.find(handler.name) != text.npos || std::regex_search(text, kDynamic)) {
    return std::nullopt;
  }
  return Finding{.file = InPackage(found->inside),
                 .problem = fmt::format("it has no {}, which the handler {} names", handler.name,
                                        check.handler),
                 .remedy = "name a function that it exports"};
}

}  // namespace

std::optional<Finding> CheckHandler(const PackageCheck& check) {
  if (check.handler.empty()) return std::nullopt;
  const bool python = check.runtime.starts_with("python");
  if (!python && !check.runtime.starts_with("nodejs")) return std::nullopt;
  const auto handler = SplitHandler(check.handler);
  if (!handler) {
    return Finding{.file = "",
                   .problem = fmt::format("the handler \"{}\" is not FILE.FUNCTION", check.handler),
                   .remedy = "name it so, as in app.handler"};
  }
  return python ? CheckPython(check, *handler) : CheckNode(check, *handler);
}

std::optional<Finding> CheckBootstrap(const PackageCheck& check) {
  std::error_code ignored;
  std::string inside = "/var/task/bootstrap";
  auto found = check.view.Find(inside);
  if (!found) found = check.view.Find(inside = "/opt/bootstrap");
  if (!found) {
    return Finding{.file = "bootstrap",
                   .problem = "neither the package nor a layer has it, and this runtime starts it",
                   .remedy = "put an executable file of that name into the package's top folder"};
  }
  const std::string file = InPackage(inside);
  const auto status = fs::status(*found, ignored);
  const auto run = fs::perms::owner_exec | fs::perms::group_exec | fs::perms::others_exec;
  if (!fs::is_regular_file(status)) {
    return Finding{.hopeless = true, .file = file, .problem = "it is not a file", .remedy = ""};
  }
  if ((status.permissions() & run) == fs::perms::none) {
    return Finding{.hopeless = true,
                   .file = file,
                   .problem = "it has no run bit, and this runtime starts it",
                   .remedy = "chmod +x bootstrap, and pack it with a tool that keeps modes"};
  }
  std::ifstream in(*found, std::ios::binary);
  std::string line(256, '\0');
  in.read(line.data(), 256);
  line.resize(static_cast<std::size_t>(in.gcount()));
  if (line.starts_with("\177ELF")) return std::nullopt;  // as any native file
  if (!line.starts_with("#!")) {
    return Finding{
        .hopeless = true,
        .file = file,
        .problem = "it is neither a program of this machine nor a script that begins with #!",
        .remedy = "begin it with #!/bin/sh, or build it for this machine"};
  }
  std::istringstream words(line.substr(2, line.find('\n') - 2));
  std::string interpreter;
  words >> interpreter;
  if (interpreter.ends_with('\r') || line.substr(0, line.find('\n')).ends_with('\r')) {
    return Finding{.hopeless = true,
                   .file = file,
                   .problem = "its first line ends as Windows ends lines",
                   .remedy = "save it with Unix line ends"};
  }
  if (check.view.Find(interpreter)) return std::nullopt;
  return Finding{
      .hopeless = true,
      .file = file,
      .problem = fmt::format("it wants {}, which no sandbox of this host has", interpreter),
      .remedy = "name an interpreter that is there, or bring it in the package"};
}

}  // namespace samovar
