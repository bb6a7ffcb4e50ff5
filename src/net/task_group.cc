#include "net/task_group.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/system/system_error.hpp>
#include <exception>
#include <list>
#include <utility>
#include <vector>

#include "base/log.h"

namespace samovar {
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

// A task that ends because it was asked to is no news.
void LogUnlessCancelled(const std::exception_ptr& thrown) {
  if (!thrown) return;
  try {
    std::rethrow_exception(thrown);
  } catch (const boost::system::system_error& error) {
    if (error.code() != asio::error::operation_aborted) LogError("a task ended: {}", error.what());
  } catch (const std::exception& error) {
    LogError("a task ended: {}", error.what());
  }
}

}  // namespace

struct TaskGroup::State {
  using Signal = std::shared_ptr<asio::cancellation_signal>;

  explicit State(Executor executor)
      : loop(std::move(executor)), empty(loop, Timer::time_point::max()) {}

  Executor loop;
  std::list<Signal> running;
  bool stopping = false;
  Timer empty;  // never fires; cancelled when the last task ends
};

TaskGroup::TaskGroup(Executor loop) : state_(std::make_shared<State>(std::move(loop))) {}
TaskGroup::~TaskGroup() = default;

void TaskGroup::Spawn(Task<void> task) {
  if (state_->stopping) return;
  auto signal = std::make_shared<asio::cancellation_signal>();
  auto at = state_->running.insert(state_->running.end(), signal);
  auto done = [state = state_, at](const std::exception_ptr& thrown) {
    LogUnlessCancelled(thrown);
    state->running.erase(at);
    if (state->running.empty()) state->empty.cancel();
  };
  asio::co_spawn(state_->loop, std::move(task),
                 asio::bind_cancellation_slot(signal->slot(), std::move(done)));
}

Task<void> TaskGroup::Stop() {
  auto state = state_;
  state->stopping = true;
  std::vector<State::Signal> signals(state->running.begin(), state->running.end());
  for (auto& signal : signals) signal->emit(asio::cancellation_type::terminal);
  while (!state->running.empty()) {
    co_await state->empty.async_wait(asio::as_tuple(asio::use_awaitable_t<Executor>()));
  }
}

std::size_t TaskGroup::Running() const { return state_->running.size(); }

}  // namespace samovar
