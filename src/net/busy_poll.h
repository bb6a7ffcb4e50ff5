#pragma once
// BusyPoll: runs an event loop that looks for events a moment longer before it sleeps.
//
// Why      Where nothing else runs a processor halts as soon as its process waits, and to wake it
//          costs more than all of a warm call's own work (docs/performance.md).
// How      After each sign of calls the loop asks for events without sleeping until kWindow has
//          gone by, and between two looks gives its processor to whoever is ready to run. So a
//          server with nothing to do sleeps, and one with much to do never looks in vain.
// Threads  Runs `loop` on the calling thread, as loop.run() does.

#include <boost/asio/io_context.hpp>
#include <chrono>
#include <cstdint>
#include <functional>

namespace samovar {

class BusyPoll {
 public:
  static constexpr std::chrono::microseconds kWindow{100};

  // `calls`: a number that changes when a call begins or ends.
  BusyPoll(boost::asio::io_context& loop, std::function<std::uint64_t()> calls)
      : loop_(loop), calls_(std::move(calls)) {}

  // Returns when the loop is stopped or has nothing left to wait for.
  void Run();

 private:
  boost::asio::io_context& loop_;
  std::function<std::uint64_t()> calls_;
};

}  // namespace samovar
