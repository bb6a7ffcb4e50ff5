#pragma once
// KeyedMutex: one change at a time for each name, without blocking the loop.
//
// How      Guard held = the key is in the map; waiters queue behind it in order.
// Errors   A waiter whose coroutine is cancelled leaves the queue with operation_aborted.
// Threads  The event loop only. Guards may outlive the mutex.

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <deque>
#include <memory>
#include <string>
#include <unordered_map>
#include <utility>

#include "base/task.h"

namespace samovar {

using LoopTimer =
    asio::basic_waitable_timer<std::chrono::steady_clock,
                               asio::wait_traits<std::chrono::steady_clock>, Executor>;

class KeyedMutex {
  struct Waiter {
    explicit Waiter(const Executor& loop) : timer(loop, SteadyMax()) {}
    static std::chrono::steady_clock::time_point SteadyMax() {
      return std::chrono::steady_clock::time_point::max();
    }
    LoopTimer timer;
    bool granted = false;
  };
  using Queues = std::unordered_map<std::string, std::deque<std::shared_ptr<Waiter>>>;

 public:
  class Guard {
   public:
    Guard(std::shared_ptr<Queues> queues, std::string key)
        : queues_(std::move(queues)), key_(std::move(key)) {}
    Guard(Guard&& other) noexcept = default;
    Guard& operator=(Guard&&) = delete;
    ~Guard() {
      if (!queues_) return;
      const auto at = queues_->find(key_);
      if (at->second.empty()) {
        queues_->erase(at);
        return;
      }
      const auto next = std::move(at->second.front());
      at->second.pop_front();
      next->granted = true;
      next->timer.cancel();
    }

   private:
    std::shared_ptr<Queues> queues_;
    std::string key_;
  };

  Task<Guard> Lock(std::string key) {
    const auto queues = queues_;
    const auto [at, free] = queues->try_emplace(key);
    if (free) co_return Guard(queues, std::move(key));
    const auto waiter = std::make_shared<Waiter>(co_await asio::this_coro::executor);
    at->second.push_back(waiter);
    co_await waiter->timer.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
    if (!waiter->granted) {
      std::erase((*queues)[key], waiter);
      throw boost::system::system_error(asio::error::operation_aborted);
    }
    co_return Guard(queues, std::move(key));
  }

 private:
  std::shared_ptr<Queues> queues_ = std::make_shared<Queues>();
};

}  // namespace samovar
