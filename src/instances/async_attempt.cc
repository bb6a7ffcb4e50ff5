// What happens to one asynchronous event in its turn.
#include <algorithm>
#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

#include "base/ids.h"
#include "base/log.h"
#include "instances/async_invoker.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr int kMaxHops = 16;  // as Lambda's recursion detection

std::chrono::milliseconds Doubled(std::chrono::milliseconds first, int times,
                                  std::chrono::milliseconds most) {
  auto wait = first;
  for (int i = 0; i < times && wait < most; ++i) wait *= 2;
  return std::min(wait, most);
}

std::string ErrorMessageOf(const std::string& payload) {
  boost::system::error_code error;
  auto value = boost::json::parse(payload, error);
  if (error || !value.is_object()) return {};
  auto* message = value.get_object().if_contains("errorMessage");
  return message && message->is_string() ? std::string(message->get_string()) : std::string();
}

}  // namespace

Task<void> AsyncInvoker::Run(Pending event) {
  auto due = co_await Turn(event);
  std::string function = event.function;
  --running_;
  --queues_[function].running;
  if (due) queues_[function].waiting.emplace(*due, std::move(event));
  Dispatch(function);
  ForgetIfEmpty(function);
}

Task<std::optional<WallTime>> AsyncInvoker::Turn(Pending& event) {
  auto key = AsyncKey(event.function, event.sequence);
  auto value = co_await RunBlocking(pool_, [this, &key] { return store_.Get(key); });
  if (!value) {
    LogError("{}: {}", key, value.error().message);
    co_return clock_.Wall() + options_.disk_retry;
  }
  if (!*value) co_return co_await Drop(event, "it is not on disk any more");
  auto stored = DecodeAsyncEvent(**value);
  if (!stored) co_return co_await Drop(event, stored.error().message);
  co_return co_await Attempt(event, *stored);
}

Task<std::optional<WallTime>> AsyncInvoker::Attempt(Pending& event, AsyncEvent& stored) {
  auto resolved = co_await registry_.Resolve(stored.invoked_arn, "");
  if (!resolved && resolved.error().code == Code::kNotFound) {
    co_return co_await Drop(event, "the function is gone");
  }
  AsyncPolicy policy =
      registry_.AsyncPolicyOf(event.function, ParseFunctionArn(stored.invoked_arn).qualifier);
  if (!resolved) co_return co_await PutBack(event, stored, policy, stored.invoked_arn);
  std::string arn = resolved->version->Arn();
  if (stored.enqueued + policy.max_age < clock_.Wall()) {
    AsyncOutcome outcome{.condition = "EventAgeExceeded", .executed_version = "", .result = {}};
    co_return co_await Settle(event, stored, policy, arn, std::move(outcome));
  }
  if (resolved->reserved_concurrency == 0) {
    AsyncOutcome outcome{
        .condition = "ZeroReservedConcurrency", .executed_version = "", .result = {}};
    co_return co_await Settle(event, stored, policy, arn, std::move(outcome));
  }
  Invocation call;
  call.request_id = stored.request_id;
  call.version = resolved->version;
  call.invoked_arn = resolved->invoked_arn;
  call.reserved_concurrency = resolved->reserved_concurrency;
  call.provisioned_concurrency = resolved->provisioned_concurrency;
  call.payload = stored.payload;
  call.client_context = stored.client_context;
  call.cognito_identity = stored.cognito_identity;
  call.trace_id = stored.trace_id;
  call.queue_deadline = Deadline::After(clock_, options_.queue_wait);
  auto result = co_await invoker_.Invoke(std::move(call), nullptr);
  if (!result) co_return co_await PutBack(event, stored, policy, arn);
  AsyncOutcome outcome{.condition = "Success",
                       .executed_version = resolved->version->number,
                       .result = std::move(*result)};
  if (outcome.result->function_error.empty()) {
    co_return co_await Settle(event, stored, policy, arn, std::move(outcome));
  }
  co_return co_await Retry(event, stored, policy, std::move(outcome));
}

Task<std::optional<WallTime>> AsyncInvoker::Retry(Pending& event, AsyncEvent& stored,
                                                  const AsyncPolicy& policy, AsyncOutcome outcome) {
  ++stored.attempts;
  event.throttled = 0;
  auto arn = ParseFunctionArn(stored.invoked_arn);
  auto executed = stored.invoked_arn;
  if (arn.qualifier.empty()) executed += ":$LATEST";
  auto expires = stored.enqueued + policy.max_age;
  auto backoff = Doubled(options_.retry_backoff, stored.attempts - 1,
                         std::chrono::duration_cast<std::chrono::milliseconds>(policy.max_age));
  stored.due = clock_.Wall() + backoff;
  if (stored.attempts > policy.max_retries || stored.due >= expires) {
    outcome.condition =
        stored.attempts > policy.max_retries ? "RetriesExhausted" : "EventAgeExceeded";
    co_return co_await Settle(event, stored, policy, executed, std::move(outcome));
  }
  ++stats_.retried;
  Change change;
  change.batch.Put(AsyncKey(event.function, event.sequence), EncodeAsyncEvent(stored));
  co_await Write(std::move(change));
  co_return stored.due;
}

// No attempt was made: it costs none of the retries, only time.
Task<std::optional<WallTime>> AsyncInvoker::PutBack(Pending& event, const AsyncEvent& stored,
                                                    const AsyncPolicy& policy,
                                                    const std::string& arn) {
  if (stopping_) co_return clock_.Wall();
  ++stats_.throttled;
  auto wait = Doubled(options_.throttle_backoff, event.throttled++, options_.throttle_backoff_max);
  auto due = clock_.Wall() + wait;
  if (due < stored.enqueued + policy.max_age) co_return due;
  AsyncOutcome outcome{.condition = "EventAgeExceeded", .executed_version = "", .result = {}};
  co_return co_await Settle(event, stored, policy, arn, std::move(outcome));
}

Task<std::optional<WallTime>> AsyncInvoker::Settle(const Pending& event, const AsyncEvent& stored,
                                                   const AsyncPolicy& policy,
                                                   const std::string& arn, AsyncOutcome outcome) {
  bool good = outcome.condition == "Success";
  Change change;
  change.batch.Delete(AsyncKey(event.function, event.sequence));
  const std::string& target = good ? policy.on_success_arn : policy.on_failure_arn;
  if (!target.empty()) {
    AsyncEvent record;
    record.payload = DestinationRecord(stored, outcome, arn, clock_.Wall());
    record.trace_id = stored.trace_id;
    record.hops = stored.hops + 1;
    AddDestination(change, target, std::move(record));
  }
  if (!good && !policy.dead_letter_arn.empty()) {
    AddDestination(change, policy.dead_letter_arn, DeadLetter(stored, outcome));
  }
  if (!co_await Write(std::move(change))) co_return clock_.Wall();
  Remove(event);
  ++(good ? stats_.delivered : stats_.failed);
  co_return std::nullopt;
}

// A dead letter is the event itself; what SQS would get as attributes goes into the client context.
AsyncEvent AsyncInvoker::DeadLetter(const AsyncEvent& stored, const AsyncOutcome& outcome) const {
  AsyncEvent letter;
  letter.payload = stored.payload;
  letter.trace_id = stored.trace_id;
  letter.hops = stored.hops + 1;
  boost::json::object custom{{"RequestID", stored.request_id}, {"ErrorCode", "200"}};
  custom["ErrorMessage"] =
      outcome.result ? ErrorMessageOf(outcome.result->payload) : std::string(outcome.condition);
  constexpr std::size_t kMost = 1024;
  auto& message = custom["ErrorMessage"].as_string();
  if (message.size() > kMost) message.resize(kMost);
  letter.client_context = boost::json::serialize(boost::json::object{{"custom", custom}});
  return letter;
}

void AsyncInvoker::AddDestination(Change& change, const std::string& target_arn, AsyncEvent event) {
  std::string function = ParseFunctionArn(target_arn).function;
  if (function.empty() || event.hops > kMaxHops) {
    LogWarn("an asynchronous invocation's record cannot go to {}", target_arn);
    ++stats_.undeliverable;
    return;
  }
  event.request_id = NewUuid();
  event.invoked_arn = target_arn;
  event.enqueued = event.due = clock_.Wall();
  std::string value = EncodeAsyncEvent(event);
  Pending pending{.function = function, .sequence = next_sequence_++, .size = value.size()};
  change.batch.Put(AsyncKey(function, pending.sequence), std::move(value));
  change.added.emplace_back(event.due, std::move(pending));
}

Task<std::optional<WallTime>> AsyncInvoker::Drop(const Pending& event, std::string_view why) {
  LogWarn("an asynchronous event of {} is dropped: {}", event.function, why);
  Change change;
  change.batch.Delete(AsyncKey(event.function, event.sequence));
  if (!co_await Write(std::move(change))) co_return clock_.Wall();
  Remove(event);
  ++stats_.dropped;
  co_return std::nullopt;
}

Task<bool> AsyncInvoker::Write(Change change) {
  Timer timer(loop_);
  while (true) {
    auto written = co_await WriteOnce(change.batch);
    if (written) break;
    LogError("the asynchronous queue is not written: {}", written.error().message);
    if (stopping_) co_return false;
    timer.expires_after(options_.disk_retry);
    co_await timer.async_wait(kTuple);
  }
  for (auto& [due, event] : change.added) {
    std::string function = event.function;
    Insert(due, std::move(event));
    Dispatch(function);
  }
  co_return true;
}

}  // namespace samovar
