#pragma once
// Task: the one way to wait. A coroutine over Asio; Task<Result<T>> where it can fail.
//
// Why      One style of asynchrony (docs/decisions). Parameters are taken by value, as a coroutine
//          outlives its caller's temporaries.
// Threads  All of Samovar's coroutines run on the server's one event loop (docs/decisions), so
//          state that only coroutines touch needs no lock; RunBlocking in base/blocking.h moves
//          CPU work and disk waits to a pool and comes back.

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/awaitable.hpp>

#include "base/error.h"

namespace samovar {

namespace asio = boost::asio;

using Executor = asio::any_io_executor;

template <class T = void>
using Task = asio::awaitable<T, Executor>;

}  // namespace samovar
