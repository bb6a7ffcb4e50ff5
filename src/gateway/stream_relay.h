#pragma once
// StreamRelay: hands a streamed answer from the task that invokes to the one that sends.
//
// Why      The invoker pushes pieces, the HTTP server pulls them; a slow client must slow down the
//          function, not fill memory.
// How      Begin, chunks and end travel in order through a channel that holds one item.
// Errors   Put answers false once the reader is gone; Take answers nullopt once the writer is gone
//          without an end.
// Threads  The event loop only.

#include <boost/asio/experimental/channel.hpp>
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
  explicit StreamRelay(Executor loop) : items_(std::move(loop), 1) {}

  Task<bool> Put(StreamItem item);
  Task<std::optional<StreamItem>> Take();
  void Close() { items_.close(); }

 private:
  asio::experimental::channel<Executor, void(boost::system::error_code, StreamItem)> items_;
};

// The reader's end; the writer notices when the last copy is gone.
class StreamReader {
 public:
  explicit StreamReader(std::shared_ptr<StreamRelay> relay) : relay_(std::move(relay)) {}
  ~StreamReader() { relay_->Close(); }
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
