// aligned_alloc for what malloc aligns anyway.
//
// Why      Asio gets the frame of each coroutine from aligned_alloc, always with the alignment that
//          malloc has, and tcmalloc's goes a long way round: 7 % of the server's own time of a
//          call.
// Threads  Any.
#include <malloc.h>

#include <algorithm>
#include <cstddef>
#include <cstdlib>

extern "C" void* aligned_alloc(std::size_t alignment, std::size_t size) noexcept {
  constexpr std::size_t kOrdinary = __STDCPP_DEFAULT_NEW_ALIGNMENT__;
  if (alignment <= kOrdinary) return std::malloc(std::max(size, kOrdinary));
  return ::memalign(alignment, size);
}
