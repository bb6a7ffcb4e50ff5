#include "gateway/stream_relay.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());

// Closes the relay however the task ends.
struct WriterEnd {
  std::shared_ptr<StreamRelay> relay;
  ~WriterEnd() { relay->CloseWriter(); }
};

Task<void> Run(std::shared_ptr<StreamRelay> relay, Invoker& invoker, Invocation invocation) {
  ResponseSink sink;
  WriterEnd end{relay};
  relay->WhenReaderGone([&sink] {
    if (sink.gone) sink.gone();
  });
  sink.begin = [relay](std::string type) {
    return relay->Put({StreamItem::Kind::kBegin, std::move(type), std::nullopt});
  };
  sink.chunk = [relay](std::string bytes) {
    return relay->Put({StreamItem::Kind::kChunk, std::move(bytes), std::nullopt});
  };
  auto result = co_await invoker.Invoke(std::move(invocation), &sink);
  StreamItem last{StreamItem::Kind::kEnd, "", std::move(result)};
  co_await relay->Put(std::move(last));
}

}  // namespace

Task<void> StreamRelay::Changed() { co_await changed_.async_wait(kTuple); }

Task<bool> StreamRelay::Put(StreamItem item) {
  while (item_ && !reader_gone_) co_await Changed();
  if (reader_gone_) co_return false;
  item_ = std::move(item);
  changed_.cancel();
  co_return true;
}

Task<std::optional<StreamItem>> StreamRelay::Take() {
  while (!item_ && !writer_gone_) co_await Changed();
  changed_.cancel();
  co_return std::exchange(item_, std::nullopt);
}

void StreamRelay::CloseReader() {
  reader_gone_ = true;
  changed_.cancel();
  if (const auto then = std::exchange(then_, nullptr)) then();
}

void StreamRelay::CloseWriter() {
  writer_gone_ = true;
  then_ = nullptr;
  changed_.cancel();
}

std::shared_ptr<StreamReader> InvokeStreaming(TaskGroup& group, Executor loop, Invoker& invoker,
                                              Invocation invocation) {
  auto relay = std::make_shared<StreamRelay>(loop);
  group.Spawn(Run(relay, invoker, std::move(invocation)));
  return std::make_shared<StreamReader>(std::move(relay));
}

}  // namespace samovar
