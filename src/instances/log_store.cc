#include "instances/log_store.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "base/log.h"
#include "instances/log_file.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());

// Has the files of one log for itself while it lives.
class Hold {
 public:
  explicit Hold(LogFile& file) : file_(file) { file_.busy = true; }
  Hold(const Hold&) = delete;
  ~Hold() {
    file_.busy = false;
    file_.idle.cancel();
  }

 private:
  LogFile& file_;
};

Task<void> UntilIdle(LogFile& file) {
  while (file.busy) co_await file.idle.async_wait(kTuple);
}

// The buffer as it is written, a line about dropped ones included.
std::string TakeBuffer(LogFile& file) {
  std::string text = std::exchange(file.buffer, {});
  if (file.dropped > 0) {
    auto now = std::chrono::system_clock::now().time_since_epoch();
    fmt::format_to(std::back_inserter(text), "{}\tsamovar\t-\t[{} lines were dropped]\n",
                   std::chrono::duration_cast<std::chrono::milliseconds>(now).count(),
                   std::exchange(file.dropped, 0));
  }
  return text;
}

// A function's name is checked long before; a path must still never leave the directory.
std::string DirectoryName(const std::string& function) {
  std::string name;
  for (char c : function) name += c == '/' || c == '.' || c == '\0' ? '_' : c;
  return name;
}

}  // namespace

void LogWriter::Append(WallTime time, std::string_view text) {
  while (!text.empty()) {
    file_->Append(time, prefix_, TakeLine(text, store_->options_.max_line.count), store_->options_);
  }
  if (file_->buffer.size() < store_->options_.flush_at.count || file_->queued) return;
  file_->queued = true;
  store_->tasks_.Spawn(store_->FlushSoon(file_));
}

LogStore::LogStore(Executor loop, BlockingPool& pool, LogOptions options)
    : loop_(loop), pool_(pool), options_(std::move(options)), tasks_(loop) {}
LogStore::~LogStore() = default;

void LogStore::Start() { tasks_.Spawn(FlushLoop()); }

Task<void> LogStore::Stop() {
  for (auto& [name, file] : files_) {
    for (LogFollowerState* follower : file->followers) {
      follower->ended = true;
      follower->wake.cancel();
    }
  }
  co_await tasks_.Stop();
  co_await Flush();
}

std::shared_ptr<LogFile> LogStore::Find(const std::string& function) {
  auto& file = files_[function];
  if (!file) {
    file = std::make_shared<LogFile>(loop_, options_.directory + "/" + DirectoryName(function));
  }
  return file;
}

LogWriter LogStore::Open(const std::string& function, const std::string& stream,
                         const std::string& version) {
  LogWriter writer;
  writer.file_ = Find(function);
  writer.store_ = this;
  writer.prefix_ = "\t" + stream + "\t" + version + "\t";
  return writer;
}

// A flush that was begun ends, also while the store stops: what it took off the buffer is written.
Task<void> LogStore::FlushLoop() {
  co_await asio::this_coro::throw_if_cancelled(false);
  LogTimer timer(loop_);
  while (true) {
    timer.expires_after(options_.flush_every);
    auto [error] = co_await timer.async_wait(kTuple);
    if (error) co_return;
    co_await Flush();
    auto state = co_await asio::this_coro::cancellation_state;
    if (state.cancelled() != asio::cancellation_type::none) co_return;
  }
}

Task<void> LogStore::FlushSoon(std::shared_ptr<LogFile> file) {
  co_await asio::this_coro::throw_if_cancelled(false);
  co_await FlushFile(std::move(file));
}

Task<void> LogStore::Flush() {
  std::vector<std::shared_ptr<LogFile>> files;
  for (auto& [name, file] : files_) {
    if (!file->buffer.empty() || file->dropped > 0) files.push_back(file);
  }
  for (auto& file : files) co_await FlushFile(file);
  files.clear();
  Forget();
}

// A log that nobody writes, reads or follows, with nothing left to write; whoever asks for a name
// that no function has leaves nothing behind.
void LogStore::Forget() {
  std::erase_if(files_, [](const auto& entry) {
    const auto& file = entry.second;
    return file.use_count() == 1 && file->buffer.empty() && file->dropped == 0;
  });
}

Task<void> LogStore::FlushFile(std::shared_ptr<LogFile> file) {
  co_await UntilIdle(*file);
  Hold hold(*file);
  file->queued = false;
  std::string text = TakeBuffer(*file);
  if (!text.empty()) {
    auto done = co_await RunBlocking(pool_, [file, &text, bound = options_.max_size_per_function] {
      return WriteLog(file->directory, text, bound);
    });
    if (!done) LogError("a function's log is not written: {}", done.error().message);
  }
}

Task<Result<std::vector<LogRecord>>> LogStore::Read(std::string function, LogQuery query) {
  auto file = Find(function);
  co_return co_await ReadFile(file, query, nullptr);
}

Task<Result<std::vector<LogRecord>>> LogStore::ReadFile(std::shared_ptr<LogFile> file,
                                                        LogQuery query,
                                                        LogFollowerState* follower) {
  co_await UntilIdle(*file);
  Hold hold(*file);
  // What comes from here on is the follower's; what came before is read back below.
  std::string text = TakeBuffer(*file);
  if (follower) file->followers.push_back(follower);
  auto lines =
      co_await RunBlocking(pool_, [file, &text, &query, this]() -> Result<std::vector<LogRecord>> {
        if (!text.empty()) {
          TRY(WriteLog(file->directory, text, options_.max_size_per_function));
        }
        return ReadLog(file->directory, query, options_.max_answer);
      });
  co_return lines;
}

std::unique_ptr<LogFollower> LogStore::Follow(std::string function, LogQuery query) {
  auto state = std::make_unique<LogFollowerState>(loop_);
  state->store = this;
  state->file = Find(function);
  state->query = query;
  return std::make_unique<LogFollower>(std::move(state));
}

LogFollower::LogFollower(std::unique_ptr<LogFollowerState> state) : state_(std::move(state)) {}

LogFollower::~LogFollower() { std::erase(state_->file->followers, state_.get()); }

bool LogFollower::Ended() const { return state_->ended; }

Task<Result<std::vector<LogRecord>>> LogFollower::Next(Deadline deadline) {
  LogFollowerState& state = *state_;
  if (!std::exchange(state.began, true)) {
    CO_TRY(auto lines, co_await state.store->ReadFile(state.file, state.query, &state));
    if (!lines.empty()) co_return lines;
  }
  if (state.pending.empty() && !state.ended) {
    state.wake.expires_at(deadline.at);
    co_await state.wake.async_wait(kTuple);
  }
  std::vector<LogRecord> lines(std::make_move_iterator(state.pending.begin()),
                               std::make_move_iterator(state.pending.end()));
  state.pending.clear();
  if (std::size_t lost = std::exchange(state.lost, 0); lost > 0 && !lines.empty()) {
    auto message = fmt::format("[{} lines were not taken in time]", lost);
    lines.insert(lines.begin(), {lines.front().time, "samovar", "-", message});
  }
  co_return lines;
}

}  // namespace samovar
