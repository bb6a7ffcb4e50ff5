#pragma once
// BodyRoom: how many bytes of bodies of requests are in memory at a time.
//
// Why      A client may send 128 MiB at once, and nothing else bounds how many do.
// How      Who wants to read a body takes room for all of it first. Where there is none it waits in
//          line, unread, so that the kernel holds the client back. One body always fits. Once all
//          have ended, and no other comes for a while, their memory goes back to the system.
// Errors   kOverloaded when the wait was too long, or the line is: nothing of the body was read.
// Threads  The event loop only.

#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>

#include "base/blocking.h"
#include "base/bytes.h"
#include "net/http.h"
#include "net/task_group.h"

namespace samovar {

class BodyRoom {
 public:
  struct Options {
    Bytes most;
    std::size_t most_waiting = 1000;
    std::chrono::milliseconds patience{30'000};
    std::chrono::milliseconds quiet{1000};  // until memory is given back
  };
  class Lease {
   public:
    Lease() = default;
    Lease(Lease&& other) noexcept { *this = std::move(other); }
    Lease& operator=(Lease&& other) noexcept {
      std::swap(room_, other.room_);
      std::swap(bytes_, other.bytes_);
      return *this;
    }
    ~Lease() {
      if (room_) room_->Release(bytes_);
    }

    // For whoever takes the body along; null where it holds no room.
    std::shared_ptr<const void> Shared() && {
      return room_ ? std::make_shared<const Lease>(std::move(*this)) : nullptr;
    }

   private:
    friend class BodyRoom;
    Lease(BodyRoom& room, std::uint64_t bytes) : room_(&room), bytes_(bytes) {}
    BodyRoom* room_ = nullptr;
    std::uint64_t bytes_ = 0;
  };

  // `tasks` runs what gives memory back, and ends before this.
  BodyRoom(Executor loop, BlockingPool& pool, TaskGroup& tasks, Options options)
      : loop_(std::move(loop)), pool_(pool), tasks_(tasks), options_(options) {}

  Task<Result<Lease>> Take(std::uint64_t bytes);
  std::uint64_t Used() const { return used_; }
  std::size_t Waiting() const { return waiting_.size(); }

 private:
  using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                           asio::wait_traits<std::chrono::steady_clock>, Executor>;
  struct Waiter {
    std::uint64_t bytes;
    Timer timer;
    std::optional<Lease> lease;
  };

  bool Fits(std::uint64_t bytes) const {
    return used_ == 0 || used_ + bytes <= options_.most.count;
  }
  Lease Give(std::uint64_t bytes);
  void Release(std::uint64_t bytes);
  Task<void> GiveBackWhenQuiet();

  Executor loop_;
  BlockingPool& pool_;
  TaskGroup& tasks_;
  const Options options_;
  std::uint64_t used_ = 0;
  std::uint64_t since_ = 0;  // bytes that went through since memory was given back
  bool giving_back_ = false;
  std::list<Waiter*> waiting_;
};

// What doors read into: of collections, and of calls. Those who send much at once leave room for
// others.
class BodyRooms {
 public:
  struct Options {
    Bytes ordinary;
    Bytes large;
    std::chrono::milliseconds patience{30'000};
  };
  static constexpr std::uint64_t kSmall = 64 << 10;  // needs no room
  static constexpr std::uint64_t kLarge = 16 << 20;  // more is a large one

  BodyRooms(const Executor& loop, BlockingPool& pool, TaskGroup& tasks, Options options)
      : ordinary_(loop, pool, tasks, {.most = options.ordinary, .patience = options.patience}),
        large_(loop, pool, tasks, {.most = options.large, .patience = options.patience}) {}

  // Of a body whose size is not said beforehand, as much as it may have. nullopt: it needs none.
  static std::optional<std::uint64_t> Needs(const BodyReader& body, Bytes limit) {
    const std::uint64_t bytes = body.Announced().value_or(limit.count);
    if (bytes <= kSmall || bytes > limit.count) return std::nullopt;  // that is refused unread
    return bytes;
  }
  Task<Result<BodyRoom::Lease>> Take(std::uint64_t bytes) {
    return (bytes > kLarge ? large_ : ordinary_).Take(bytes);
  }

 private:
  BodyRoom ordinary_;
  BodyRoom large_;
};

}  // namespace samovar
