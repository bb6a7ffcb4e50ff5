#include "main/child_process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

#include <map>

extern char** environ;

namespace samovar {

namespace {

std::vector<std::string> Environment(
    const std::vector<std::pair<std::string, std::string>>& extra) {
  std::map<std::string, std::string> all;
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line = *entry;
    const std::size_t equals = line.find('=');
    if (equals != std::string_view::npos) all[std::string(line.substr(0, equals))] = line;
  }
  for (const auto& [name, value] : extra) all[name] = name + "=" + value;
  std::vector<std::string> out;
  for (auto& [name, line] : all) out.push_back(std::move(line));
  return out;
}

std::vector<char*> Pointers(std::vector<std::string>& texts) {
  std::vector<char*> out;
  for (std::string& text : texts) out.push_back(text.data());
  out.push_back(nullptr);
  return out;
}

constexpr std::size_t kLongestLine = 16 << 20;  // whoever prints without an end gets it cut

}  // namespace

Result<ChildLines> ChildLines::Start(const ChildCall& call) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return std::unexpected(ErrnoError("pipe"));
  Fd read_end(ends[0]);
  const Fd write_end(ends[1]);
  const Fd itself(call.itself ? open(kThisProgram, O_PATH | O_CLOEXEC) : -1);
  if (call.itself && !itself) return std::unexpected(ErrnoError(kThisProgram));
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_adddup2(&actions, write_end.Get(), 1);
  posix_spawn_file_actions_adddup2(&actions, write_end.Get(), 2);
  if (itself) posix_spawn_file_actions_adddup2(&actions, itself.Get(), kItself);
  if (!call.folder.empty()) posix_spawn_file_actions_addchdir_np(&actions, call.folder.c_str());
  std::vector<std::string> argv_texts = call.argv;
  std::vector<std::string> env_texts = Environment(call.environment);
  std::vector<char*> argv = Pointers(argv_texts);
  std::vector<char*> env = Pointers(env_texts);
  pid_t child = -1;
  const int failed = posix_spawnp(&child, argv[0], &actions, nullptr, argv.data(), env.data());
  posix_spawn_file_actions_destroy(&actions);
  if (failed != 0)
    return Fail(Code::kInvalid, ErrnoError("cannot run " + call.argv[0], failed).message);
  return ChildLines(child, std::move(read_end));
}

ChildLines::ChildLines(ChildLines&& other) noexcept
    : child_(std::exchange(other.child_, -1)),
      output_(std::move(other.output_)),
      rest_(std::move(other.rest_)),
      at_(other.at_) {}

ChildLines::~ChildLines() {
  if (child_ < 0) return;
  kill(child_, SIGKILL);
  Wait();
}

std::optional<std::string> ChildLines::Next() {
  std::size_t searched = at_;
  for (;;) {
    if (const auto end = rest_.find('\n', searched); end != rest_.npos) {
      std::string line = rest_.substr(at_, end - at_);
      at_ = end + 1;
      if (line.ends_with('\r')) line.pop_back();
      return line;
    }
    rest_.erase(0, std::exchange(at_, 0));
    searched = rest_.size();
    if (searched >= kLongestLine) return std::exchange(rest_, {});
    char buffer[65536];
    const ssize_t n = read(output_.Get(), buffer, sizeof buffer);
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    rest_.append(buffer, static_cast<std::size_t>(n));
  }
  if (rest_.empty()) return std::nullopt;
  return std::exchange(rest_, {});
}

int ChildLines::Wait() {
  int status = 0;
  while (waitpid(child_, &status, 0) < 0 && errno == EINTR) {
  }
  child_ = -1;
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

Result<int> RunChild(const ChildCall& call,
                     const std::function<void(std::string_view line)>& on_line,
                     const std::function<void(pid_t)>& on_start) {
  TRY(ChildLines child, ChildLines::Start(call));
  if (on_start) on_start(child.Process());
  while (const auto line = child.Next()) on_line(*line);
  return child.Wait();
}

}  // namespace samovar
