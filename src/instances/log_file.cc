#include "instances/log_file.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <iterator>

#include "os/fd.h"

namespace samovar {
namespace {

constexpr std::size_t kBlock = 256 << 10;
constexpr std::size_t kMaxPending = 10'000;  // lines of one follower

std::string Current(const std::string& directory) { return directory + "/current.log"; }
std::string Previous(const std::string& directory) { return directory + "/previous.log"; }

Result<void> WriteAll(int fd, std::string_view text) {
  while (!text.empty()) {
    ssize_t n = ::write(fd, text.data(), text.size());
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(ErrnoError("write a log"));
    text.remove_prefix(static_cast<std::size_t>(n));
  }
  return {};
}

// Whether what is appended must begin with a newline: a crash may have cut the last line.
bool EndsInMidLine(int fd, off_t size) {
  char last = '\n';
  return size > 0 && ::pread(fd, &last, 1, size - 1) == 1 && last != '\n';
}

// Reads lines from a file's end backwards.
class BackwardReader {
 public:
  BackwardReader(std::vector<LogRecord>& lines, const LogQuery& query, std::size_t max_bytes)
      : lines_(lines), query_(query), left_(max_bytes) {}

  Result<void> Read(const std::string& path) {
    Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    if (!fd && errno == ENOENT) return {};
    if (!fd) return std::unexpected(ErrnoError("open a log"));
    struct stat info{};
    if (::fstat(fd.Get(), &info) != 0) return std::unexpected(ErrnoError("stat a log"));
    std::string tail;  // begins in mid-line, unless at the file's start
    for (auto at = static_cast<std::size_t>(info.st_size); at > 0 && !done_;) {
      std::size_t size = std::min(kBlock, at);
      at -= size;
      std::string block(size, '\0');
      ssize_t n = ::pread(fd.Get(), block.data(), size, static_cast<off_t>(at));
      if (n < 0) return std::unexpected(ErrnoError("read a log"));
      block.resize(static_cast<std::size_t>(n));
      tail = block + tail;
      TakeLines(tail, at == 0);
    }
    return {};
  }

  bool Done() const { return done_; }

 private:
  void TakeLines(std::string& tail, bool whole) {
    while (!tail.empty() && !done_) {
      if (tail.back() == '\n') tail.pop_back();
      auto newline = tail.rfind('\n');
      if (newline == std::string::npos && !whole) {
        tail += '\n';  // its beginning is in the block before
        return;
      }
      std::size_t from = newline == std::string::npos ? 0 : newline + 1;
      TakeOne(std::string_view(tail).substr(from));
      tail.resize(from);
    }
  }

  void TakeOne(std::string_view text) {
    auto line = ParseLogLine(text);
    if (!line) return;
    // Lines of several instances are out of order by no more than a flush.
    if (query_.since && line->time < *query_.since) {
      done_ = line->time + std::chrono::seconds(10) < *query_.since;
      return;
    }
    if (lines_.size() >= query_.limit || line->message.size() > left_) {
      done_ = true;
      return;
    }
    left_ -= line->message.size();
    lines_.push_back(std::move(*line));
  }

  std::vector<LogRecord>& lines_;
  const LogQuery& query_;
  std::size_t left_;
  bool done_ = false;
};

}  // namespace

void LogFile::Append(WallTime time, std::string_view prefix, std::string_view line,
                     const LogOptions& options) {
  if (buffer.size() + prefix.size() + line.size() + 24 > options.max_buffer.count) {
    ++dropped;
    return;
  }
  auto ms = std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
  fmt::format_int digits(ms);
  std::size_t from = buffer.size();
  buffer.append(digits.data(), digits.size()).append(prefix).append(line) += '\n';
  for (LogFollowerState* follower : followers) {
    std::string_view text(buffer);
    auto parsed = ParseLogLine(text.substr(from, text.size() - from - 1));
    if (!parsed) continue;
    if (follower->pending.size() >= kMaxPending) {
      follower->pending.pop_front();
      ++follower->lost;
    }
    follower->pending.push_back(std::move(*parsed));
    follower->wake.cancel();
  }
}

Result<void> WriteLog(const std::string& directory, std::string_view text, Bytes bound) {
  Fd fd(::open(Current(directory).c_str(), O_RDWR | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!fd && errno == ENOENT) {
    std::error_code error;
    std::filesystem::create_directories(directory, error);
    if (error) return Fail(Code::kUnavailable, "make " + directory + ": " + error.message());
    return WriteLog(directory, text, bound);
  }
  if (!fd) return std::unexpected(ErrnoError("open a log"));
  struct stat info{};
  if (::fstat(fd.Get(), &info) != 0) return std::unexpected(ErrnoError("stat a log"));
  auto size = static_cast<std::size_t>(info.st_size);
  if (size > 0 && size + text.size() > bound.count / 2) {
    if (::rename(Current(directory).c_str(), Previous(directory).c_str()) != 0) {
      return std::unexpected(ErrnoError("turn a log over"));
    }
    return WriteLog(directory, text, bound);
  }
  // One write larger than the bound (a small bound, a large buffer): its newest lines stay.
  std::size_t most = bound.count / 2;
  if (text.size() > most) {
    text.remove_prefix(text.size() - most);
    text.remove_prefix(std::min(text.size(), text.find('\n') + 1));
  }
  if (EndsInMidLine(fd.Get(), info.st_size)) TRY(WriteAll(fd.Get(), "\n"));
  return WriteAll(fd.Get(), text);
}

Result<std::vector<LogRecord>> ReadLog(const std::string& directory, const LogQuery& query,
                                       Bytes max_answer) {
  std::vector<LogRecord> lines;
  BackwardReader reader(lines, query, max_answer.count);
  TRY(reader.Read(Current(directory)));
  if (!reader.Done()) TRY(reader.Read(Previous(directory)));
  std::reverse(lines.begin(), lines.end());
  return lines;
}

// The next line of at most `max_line` bytes, and takes it and its newline off `text`.
std::string_view TakeLine(std::string_view& text, std::size_t max_line) {
  std::size_t newline = text.substr(0, max_line + 1).find('\n');
  std::size_t size = std::min({newline, max_line, text.size()});
  auto line = text.substr(0, size);
  text.remove_prefix(size + (newline == size ? 1 : 0));
  return line;
}

std::optional<LogRecord> ParseLogLine(std::string_view line) {
  std::int64_t ms = 0;
  auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), ms);
  if (error != std::errc() || end == line.data() + line.size() || *end != '\t') return {};
  line.remove_prefix(static_cast<std::size_t>(end - line.data()) + 1);
  auto stream = line.find('\t');
  if (stream == std::string_view::npos) return {};
  auto version = line.find('\t', stream + 1);
  if (version == std::string_view::npos) return {};
  return LogRecord{.time = WallTime(std::chrono::milliseconds(ms)),
                   .stream = std::string(line.substr(0, stream)),
                   .version = std::string(line.substr(stream + 1, version - stream - 1)),
                   .message = ValidUtf8(line.substr(version + 1))};
}

namespace {

// Length of the valid UTF-8 character at the start of `text`, or 0.
std::size_t CharacterLength(std::string_view text) {
  auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  unsigned char first = byte(0);
  if (first < 0x80) return 1;
  std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((byte(i) & 0xc0) != 0x80) return 0;
  }
  unsigned char second = byte(1);
  if (first == 0xe0 && second < 0xa0) return 0;  // overlong
  if (first == 0xed && second > 0x9f) return 0;  // surrogates
  if (first == 0xf0 && second < 0x90) return 0;  // overlong
  if (first == 0xf4 && second > 0x8f) return 0;  // past U+10FFFF
  return length;
}

}  // namespace

std::string ValidUtf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    std::size_t length = CharacterLength(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
    } else {
      out.append(text.substr(0, length));
      text.remove_prefix(length);
    }
  }
  return out;
}

}  // namespace samovar
