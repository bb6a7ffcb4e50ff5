#include "gateway/body_room.h"

#include <boost/asio/as_tuple.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <utility>

#include "os/memory.h"

namespace samovar {
namespace {

constexpr auto kTuple = asio::as_tuple(asio::use_awaitable_t<Executor>());
constexpr std::uint64_t kWorthGivingBack = 32 << 20;

}  // namespace

BodyRoom::Lease BodyRoom::Give(std::uint64_t bytes) {
  used_ += bytes;
  since_ += bytes;
  return {*this, bytes};
}

Task<Result<BodyRoom::Lease>> BodyRoom::Take(std::uint64_t bytes) {
  if (waiting_.empty() && Fits(bytes)) co_return Give(bytes);
  const std::unexpected<Error> overloaded =
      Fail(Code::kOverloaded, "too much is being uploaded; try again");
  if (waiting_.size() >= options_.most_waiting) co_return overloaded;
  Waiter waiter{bytes, Timer(loop_, options_.patience), std::nullopt};
  struct Place {
    std::list<Waiter*>& line;
    std::list<Waiter*>::iterator at;
    Waiter& waiter;
    ~Place() {
      if (!waiter.lease) line.erase(at);
    }
  } place{waiting_, waiting_.insert(waiting_.end(), &waiter), waiter};
  co_await waiter.timer.async_wait(kTuple);
  if (!waiter.lease) co_return overloaded;
  co_return std::move(*waiter.lease);
}

void BodyRoom::Release(std::uint64_t bytes) {
  used_ -= bytes;
  while (!waiting_.empty() && Fits(waiting_.front()->bytes)) {
    Waiter& next = *waiting_.front();
    waiting_.pop_front();
    next.lease.emplace(Give(next.bytes));
    next.timer.cancel();
  }
  if (used_ > 0 || since_ < kWorthGivingBack || std::exchange(giving_back_, true)) return;
  tasks_.Spawn(GiveBackWhenQuiet());
}

Task<void> BodyRoom::GiveBackWhenQuiet() {
  Timer timer(loop_);
  std::uint64_t before = 0;
  do {
    before = since_;
    timer.expires_after(options_.quiet);
    co_await timer.async_wait(asio::use_awaitable_t<Executor>());
  } while (used_ > 0 || since_ != before);
  since_ = 0;
  giving_back_ = false;
  co_await RunBlocking(pool_, [] { GiveBackFreeMemory(); });
}

}  // namespace samovar
