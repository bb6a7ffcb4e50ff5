#include "instances/log_capture.h"

#include <unistd.h>

#include <algorithm>
#include <array>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <utility>

namespace samovar {
namespace {

constexpr std::size_t kMaxOpenLine = 64 << 10;
constexpr int kMaxDrain = 40;  // reads: more than a pipe can hold
constexpr std::int64_t kLineCost = 64;

}  // namespace

LogCapture::LogCapture(const Executor& loop, const Clock& clock, Fd pipe, LogWriter writer,
                       std::int64_t& allowance)
    : clock_(clock),
      pipe_(loop),
      writer_(std::move(writer)),
      shared_allowance_(allowance),
      refilled_(loop) {
  boost::system::error_code ignored;
  if (pipe) pipe_.assign(pipe.Release(), ignored);
  closed_ = !pipe_.is_open();
  if (!closed_) pipe_.native_non_blocking(true, ignored);
}

Task<void> LogCapture::Run() {
  while (!closed_) {
    auto [error] = co_await pipe_.async_wait(pipe_.wait_read,
                                             asio::as_tuple(asio::use_awaitable_t<Executor>()));
    if (error || closed_) co_return;
    if (ReadOnce(shared_allowance_ > 0 ? kRead : kLeast) < 0) co_return;
    while (!closed_ && !MayRead()) co_await refilled_.Wait();
  }
}

bool LogCapture::MayRead() const {
  return allowance_ >= kAllowance || (allowance_ > 0 && shared_allowance_ > 0);
}

void LogCapture::Drain() {
  for (int i = 0; i < kMaxDrain && !closed_; ++i) {
    if (ReadOnce() <= 0) break;
  }
  if (open_line_.empty()) return;
  open_line_ += '\n';
  Emit(open_line_);
  open_line_.clear();
}

LogCapture::Tail::Tail(LogCapture& capture) : capture_(capture) { capture_.tails_.push_back(this); }
LogCapture::Tail::~Tail() { std::erase(capture_.tails_, this); }

std::string LogCapture::Tail::Take() {
  if (text_.size() > kTail) text_.erase(0, text_.size() - kTail);
  return std::exchange(text_, {});
}

void LogCapture::Print(std::string_view lines, Tail* tail) {
  writer_.Append(clock_.Wall(), lines);
  if (!tail && !keep_tail_) return;
  std::string& text = tail ? tail->text_ : tail_;
  Grow(text, lines);
  text += '\n';
}

void LogCapture::Refill() {
  if (allowance_ >= kAllowance) return;
  allowance_ = kAllowance;
  refilled_.Notify();
}

void LogCapture::Close() {
  closed_ = true;
  boost::system::error_code ignored;
  pipe_.close(ignored);
  refilled_.Notify();
}

void LogCapture::BeginCall(bool keep_tail) {
  keep_tail_ = keep_tail;
  tail_.clear();
}

std::string LogCapture::TakeTail() {
  keep_tail_ = false;
  if (tail_.size() > kTail) tail_.erase(0, tail_.size() - kTail);
  return std::exchange(tail_, {});
}

ssize_t LogCapture::ReadOnce(std::size_t most) {
  std::array<char, kRead> buffer;
  ssize_t n = ::read(pipe_.native_handle(), buffer.data(), most);
  if (n < 0) return errno == EAGAIN || errno == EINTR ? 0 : -1;
  if (n == 0) return -1;
  auto before = allowance_;
  Take({buffer.data(), static_cast<std::size_t>(n)});
  allowance_ -= n;
  shared_allowance_ -= before - allowance_;
  return n;
}

void LogCapture::Take(std::string_view text) {
  auto end = text.rfind('\n');
  auto whole = end == std::string_view::npos ? std::string_view() : text.substr(0, end + 1);
  auto rest = text.substr(whole.size());
  if (!whole.empty()) {
    allowance_ -= kLineCost * std::count(whole.begin(), whole.end(), '\n');
    if (!open_line_.empty()) {
      open_line_ += whole;
      Emit(open_line_);
      open_line_.clear();
    } else {
      Emit(whole);
    }
  }
  open_line_ += rest;
  if (open_line_.size() < kMaxOpenLine) return;
  Emit(open_line_);
  open_line_.clear();
}

void LogCapture::Emit(std::string_view text) {
  writer_.Append(clock_.Wall(), text);
  if (keep_tail_) Grow(tail_, text);
  for (Tail* tail : tails_) Grow(tail->text_, text);
}

void LogCapture::Grow(std::string& tail, std::string_view text) {
  tail += text;
  if (tail.size() > 4 * kTail) tail.erase(0, tail.size() - kTail);
}

}  // namespace samovar
