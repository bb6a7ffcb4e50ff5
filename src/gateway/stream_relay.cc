#include "gateway/stream_relay.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());

// Closes the relay however the task ends.
struct WriterEnd {
  std::shared_ptr<StreamRelay> relay;
  ~WriterEnd() { relay->Close(); }
};

Task<void> Run(std::shared_ptr<StreamRelay> relay, Invoker& invoker, Invocation invocation) {
  WriterEnd end{relay};
  ResponseSink sink;
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

Task<bool> StreamRelay::Put(StreamItem item) {
  if (items_.try_send(boost::system::error_code(), std::move(item))) co_return true;
  auto [error] = co_await items_.async_send(boost::system::error_code(), std::move(item), kTuple);
  co_return !error;
}

Task<std::optional<StreamItem>> StreamRelay::Take() {
  auto [error, item] = co_await items_.async_receive(kTuple);
  if (error) co_return std::nullopt;
  co_return std::move(item);
}

std::shared_ptr<StreamReader> InvokeStreaming(TaskGroup& group, Executor loop, Invoker& invoker,
                                              Invocation invocation) {
  auto relay = std::make_shared<StreamRelay>(std::move(loop));
  group.Spawn(Run(relay, invoker, std::move(invocation)));
  return std::make_shared<StreamReader>(std::move(relay));
}

}  // namespace samovar
