#pragma once
// StreamRelay: hands a streamed answer from the task that invokes to the one that sends.
//
// Why      The invoker pushes pieces, the HTTP server pulls them; a slow client must slow down the
//          function, not fill memory.
// How      Begin, chunks and end pass in order through room for one item. (Not Asio 1.81's
//          experimental channel, which forgets its buffer and its senders when it is closed.)
// Errors   Put answers false once the reader is gone; Take answers nullopt once the writer is gone
//          without an end.
// Threads  The event loop only.

#include <boost/asio/basic_waitable_timer.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "instances/invocation.h"
#include "net/task_group.h"

namespace samovar {

struct StreamItem {
  enum class Kind : std::uint8_t { kBegin, kChunk, kEnd };
  Kind kind = Kind::kChunk;
  std::string text;                             // content type, or bytes
  std::optional<Result<InvocationResult>> end;  // of kEnd
};

class StreamRelay {
 public:
  explicit StreamRelay(const Executor& loop) : changed_(loop, Timer::time_point::max()) {}

  Task<bool> Put(StreamItem item);
  Task<std::optional<StreamItem>> Take();
  void CloseReader();
  void CloseWriter();  // what was put can still be taken
  // Called when the reader goes while the writer is there.
  void WhenReaderGone(std::function<void()> then) { then_ = std::move(then); }

 private:
  using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>, Executor>;
  Task<void> Changed();

  std::optional<StreamItem> item_;
  std::function<void()> then_;
  bool reader_gone_ = false;
  bool writer_gone_ = false;
  Timer changed_;  // never fires; cancelled to wake who waits
};

// The reader's end; the writer notices when the last copy is gone.
class StreamReader {
 public:
  explicit StreamReader(std::shared_ptr<StreamRelay> relay) : relay_(std::move(relay)) {}
  ~StreamReader() { relay_->CloseReader(); }
  StreamReader(const StreamReader&) = delete;
  StreamReader& operator=(const StreamReader&) = delete;

  Task<std::optional<StreamItem>> Take() { return relay_->Take(); }

 private:
  std::shared_ptr<StreamRelay> relay_;
};

// Starts the invocation as a task of `group`; its answer comes out of the reader.
std::shared_ptr<StreamReader> InvokeStreaming(TaskGroup& group, Executor loop, Invoker& invoker,
                                              Invocation invocation);

}  // namespace samovar
