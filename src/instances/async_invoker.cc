#include "instances/async_invoker.h"

#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>

#include "base/log.h"
#include "instances/books.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr std::chrono::milliseconds kTick{50};

}  // namespace

AsyncInvoker::AsyncInvoker(Executor loop, BlockingPool& pool, KvStore& store, const Clock& clock,
                           AsyncOptions options, Invoker& invoker, Registry& registry)
    : loop_(loop),
      pool_(pool),
      store_(store),
      clock_(clock),
      options_(options),
      invoker_(invoker),
      registry_(registry),
      ticker_(loop),
      tasks_(loop) {}

AsyncInvoker::~AsyncInvoker() = default;

Result<void> AsyncInvoker::Load() {
  TRY(store_.Scan("async/", [&](std::string_view key, std::string_view value) {
    auto name = ParseAsyncKey(key);
    auto event = name ? DecodeAsyncEvent(value) : std::unexpected(name.error());
    if (!event) {
      // Left where it is, for people to look at; the rest must run.
      LogError("{}: {}", key, event.error().message);
      return true;
    }
    next_sequence_ = std::max(next_sequence_, name->second + 1);
    Insert(event->due, {.function = name->first, .sequence = name->second, .size = value.size()});
    return true;
  }));
  return {};
}

void AsyncInvoker::Start() {
  started_ = true;
  tasks_.Spawn(TickLoop());
}

Task<void> AsyncInvoker::Stop(Deadline deadline) {
  stopping_ = true;
  Timer timer(loop_);
  while (running_ > 0 && !deadline.Passed(clock_.Now())) {
    timer.expires_after(kTick);
    co_await timer.async_wait(kTuple);
  }
  co_await tasks_.Stop();
}

Task<void> AsyncInvoker::TickLoop() {
  while (!stopping_) {
    Tick();
    ticker_.expires_after(kTick);
    co_await ticker_.async_wait(kTuple);
  }
}

void AsyncInvoker::Tick() {
  // By name, as a dispatch may change the map.
  std::vector<std::string> due;
  for (const auto& [function, queue] : queues_) {
    if (!queue.waiting.empty() && queue.waiting.begin()->first <= clock_.Wall()) {
      due.push_back(function);
    }
  }
  for (const auto& function : due) Dispatch(function);
}

void AsyncInvoker::Dispatch(const std::string& function) {
  auto at = queues_.find(function);
  if (at == queues_.end() || !started_) return;
  Queue& queue = at->second;
  while (!stopping_ && queue.running < options_.workers_per_function && !queue.waiting.empty() &&
         queue.waiting.begin()->first <= clock_.Wall()) {
    Pending event = std::move(queue.waiting.begin()->second);
    queue.waiting.erase(queue.waiting.begin());
    ++queue.running;
    ++running_;
    tasks_.Spawn(Run(std::move(event)));
  }
}

void AsyncInvoker::Count(const Pending& event) {
  Queue& queue = queues_[event.function];
  ++queue.events;
  queue.bytes += event.size;
  ++stats_.queued;
}

void AsyncInvoker::Insert(WallTime due, Pending event) {
  Count(event);
  queues_[event.function].waiting.emplace(due, std::move(event));
}

void AsyncInvoker::Remove(const Pending& event) {
  Queue& queue = queues_[event.function];
  --queue.events;
  queue.bytes -= event.size;
  --stats_.queued;
}

Task<Result<void>> AsyncInvoker::Enqueue(Invocation invocation) {
  const std::string function = invocation.version->function;
  AsyncEvent event;
  event.request_id = std::move(invocation.request_id);
  event.invoked_arn = std::move(invocation.invoked_arn);
  event.client_context = std::move(invocation.client_context);
  event.cognito_identity = std::move(invocation.cognito_identity);
  event.trace_id = std::move(invocation.trace_id);
  event.payload = std::move(invocation.payload);
  event.enqueued = event.due = clock_.Wall();
  std::string value = EncodeAsyncEvent(event);
  if (stopping_) co_return Fail(Code::kUnavailable, "the server is shutting down");
  if (!HasRoom(function, value.size())) {
    co_return Fail(Code::kThrottled, "Rate Exceeded.", "TooManyRequestsException",
                   "FunctionInvocationRateLimitExceeded");
  }
  Pending pending{.function = function, .sequence = next_sequence_++, .size = value.size()};
  // Counted from now on, so that many writers at once do not pass the bound together.
  Count(pending);
  WriteBatch batch;
  batch.Put(AsyncKey(function, pending.sequence), std::move(value));
  auto written = co_await WriteOnce(std::move(batch));
  Remove(pending);
  if (written) {
    Insert(event.due, std::move(pending));
    Dispatch(function);
  } else {
    ForgetIfEmpty(function);
  }
  co_return written;
}

bool AsyncInvoker::HasRoom(const std::string& function, std::size_t size) const {
  if (stats_.queued >= options_.max_events) return false;
  auto at = queues_.find(function);
  if (at == queues_.end()) return size <= options_.max_bytes_per_function.count;
  return at->second.events < options_.max_events_per_function &&
         at->second.bytes + size <= options_.max_bytes_per_function.count;
}

void AsyncInvoker::ForgetIfEmpty(const std::string& function) {
  auto at = queues_.find(function);
  if (at != queues_.end() && at->second.events == 0) queues_.erase(at);
}

void AsyncInvoker::DropIfDeleted(const std::string& version_key) {
  std::string function = version_key.substr(0, version_key.find(':'));
  auto at = queues_.find(function);
  if (at == queues_.end() || at->second.waiting.empty()) return;
  if (std::ranges::binary_search(registry_.Names(), function)) return;
  // Due at once: each finds its function gone and is dropped.
  auto waiting = std::exchange(at->second.waiting, {});
  for (auto& [due, event] : waiting) at->second.waiting.emplace(WallTime(), std::move(event));
  Dispatch(function);
}

Task<Result<void>> AsyncInvoker::WriteOnce(WriteBatch batch) {
  co_return co_await RunBlocking(
      pool_, [this, batch = std::move(batch)]() mutable { return store_.Write(std::move(batch)); });
}

AsyncStats AsyncInvoker::Stats() const { return stats_; }

std::string AsyncInvoker::MetricsText() const {
  std::string out;
  auto add = [&](std::string_view name, std::string_view type, std::string_view help,
                 std::uint64_t value) {
    AppendMetricHead(out, name, type, help);
    AppendMetric(out, name, {}, static_cast<double>(value));
  };
  add("samovar_async_events", "gauge", "Asynchronous events on disk.", stats_.queued);
  add("samovar_async_delivered_total", "counter", "Events that ended well.", stats_.delivered);
  add("samovar_async_failed_total", "counter", "Events given up.", stats_.failed);
  add("samovar_async_retries_total", "counter", "Retries after a function's error.",
      stats_.retried);
  add("samovar_async_throttled_total", "counter", "Attempts put back for want of an instance.",
      stats_.throttled);
  add("samovar_async_dropped_total", "counter", "Events of functions that are gone.",
      stats_.dropped);
  add("samovar_async_undeliverable_total", "counter",
      "Destinations that are not a function, or too far down a chain.", stats_.undeliverable);
  return out;
}

}  // namespace samovar
