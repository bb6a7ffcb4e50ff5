#pragma once
// LoopTest: a test whose body is a coroutine on an event loop of its own, with a fake clock.

#include <gtest/gtest.h>
#include <unistd.h>

#include <boost/asio/bind_executor.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <exception>
#include <filesystem>
#include <functional>
#include <string>

#include "base/blocking.h"
#include "base/clock.h"
#include "base/task.h"

namespace samovar {

class LoopTest : public testing::Test {
 protected:
  // Runs the body to its end.
  void Run(std::function<Task<void>()> body) {
    std::exception_ptr thrown;
    asio::co_spawn(loop_, body(), [&](std::exception_ptr e) {
      thrown = e;
      loop_.stop();
    });
    loop_.run();
    loop_.restart();
    if (thrown) std::rethrow_exception(thrown);
  }

  // Lets the loop turn until `condition`; false where it never comes true.
  Task<bool> Until(std::function<bool()> condition) {
    for (int turn = 0; turn < 20'000; ++turn) {
      if (condition()) co_return true;
      co_await asio::post(asio::bind_executor(Loop(), asio::use_awaitable_t<Executor>()));
      if (turn > 1000) ::usleep(100);  // a pool thread or a socket is slower than the loop
    }
    co_return condition();
  }
  Task<void> Turns(int n) {
    int seen = 0;
    (void)co_await Until([&] { return ++seen > n; });
  }

  // Runs a task beside the body; the result stands in the answer when it is done.
  template <class T>
  std::shared_ptr<std::optional<T>> Beside(Task<T> task) {
    auto slot = std::make_shared<std::optional<T>>();
    asio::co_spawn(loop_, std::move(task), [slot](std::exception_ptr e, T value) {
      if (!e) *slot = std::move(value);
    });
    return slot;
  }

  Executor Loop() { return loop_.get_executor(); }

  // A fresh directory, removed at the end.
  std::string Directory() {
    if (directory_.empty()) {
      std::string name = (std::filesystem::temp_directory_path() / "samovar-XXXXXX").string();
      directory_ = ::mkdtemp(name.data());
    }
    return directory_;
  }

  LoopTest() = default;
  ~LoopTest() override {
    pool_.join();
    if (!directory_.empty()) std::filesystem::remove_all(directory_);
  }

  asio::io_context loop_;
  BlockingPool pool_{1};
  FakeClock clock_;

 private:
  std::string directory_;
};

}  // namespace samovar
