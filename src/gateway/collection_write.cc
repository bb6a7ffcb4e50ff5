#include "gateway/collection_write.h"

#include <boost/asio/async_result.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>

namespace samovar {

Task<Result<Ack>> WriteBatch(GatewayCore& core, Collections& collections, std::string name,
                             Batch batch) {
  // The answer comes on the writing thread; the loop must not end before.
  auto start = [&](auto handler) {
    auto guard = asio::make_work_guard(core.parts.loop);
    auto waiting = std::make_shared<decltype(handler)>(std::move(handler));
    collections.Submit(name, std::move(batch), [waiting, guard, &core](Result<Ack> ack) {
      asio::post(core.parts.loop, [waiting, ack = std::move(ack)]() mutable {
        std::move (*waiting)(std::move(ack));
      });
    });
  };
  asio::use_awaitable_t<Executor> token;
  co_return co_await asio::async_initiate<asio::use_awaitable_t<Executor>, void(Result<Ack>)>(
      std::move(start), token);
}

}  // namespace samovar
