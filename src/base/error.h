#pragma once
// Error and Result: how every fallible call answers.
//
// Why      A caller needs to know what it can do next; the code says that and nothing else.
// How      `code` is for the caller's logic, `message` for people, `name` and `reason` for an API
//          whose clients tell errors apart more finely than by what can be done about them
//          (Lambda has five kinds of 400). One table in src/wire maps a code without a name to each
//          API's default name and HTTP status.
// Errors   TRY returns an error to the caller of the enclosing function; CHECK is for bugs only.

#include <cstdint>
#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace samovar {

enum class Code : std::uint8_t {
  kInvalid,       // the request is wrong; retrying it unchanged cannot help
  kNotFound,      // the named thing does not exist
  kConflict,      // a condition on current state failed; read again, then retry
  kPrecondition,  // the caller's revision or version is not the current one; read again
  kDenied,        // the caller is not who it says, or may not do this
  kTooLarge,      // a bound on size was passed
  kUnsupported,   // known, and not answered here
  kThrottled,     // a limit that the user set or bought was reached; retry with backoff
  kTimeout,       // the deadline passed; the work may or may not have happened
  kOverloaded,    // shed before any work began; safe to retry with backoff
  kUnavailable,   // something below us is down; safe to retry with backoff
  kInternal,      // a dependency broke its contract; report it
};

std::string_view CodeName(Code code);

struct [[nodiscard]] Error {
  Code code;
  std::string message;  // "what failed: why", lower case, no trailing dot, no secrets; an AWS
                        // message is given as AWS words it
  std::string_view name = {};    // the API's own error name, e.g. "InvalidZipFileException"; static
  std::string_view reason = {};  // e.g. "ReservedFunctionConcurrentInvocationLimitExceeded"; static
};

template <class T>
using Result = std::expected<T, Error>;

inline std::unexpected<Error> Fail(Code code, std::string message, std::string_view name = {},
                                   std::string_view reason = {}) {
  return std::unexpected(Error{code, std::move(message), name, reason});
}

// An Error from the calling thread's errno (or `err`): "what: strerror".
Error ErrnoError(std::string_view what);
Error ErrnoError(std::string_view what, int err);

}  // namespace samovar

#define SAMOVAR_CONCAT_(a, b) a##b
#define SAMOVAR_CONCAT(a, b) SAMOVAR_CONCAT_(a, b)

// TRY(auto x, F()) or TRY(F()): the value, or return the error from this function. One a line.
#define TRY(...) SAMOVAR_TRY_PICK(__VA_ARGS__, 2, 2, 2, 2, 2, 2, 1)(return, __VA_ARGS__)
// The same in a coroutine: CO_TRY(auto x, co_await F()).
#define CO_TRY(...) SAMOVAR_TRY_PICK(__VA_ARGS__, 2, 2, 2, 2, 2, 2, 1)(co_return, __VA_ARGS__)

#define SAMOVAR_TRY_PICK(a1, a2, a3, a4, a5, a6, a7, n, ...) SAMOVAR_CONCAT(SAMOVAR_TRY, n)
#define SAMOVAR_TRY1(ret, expr)                                            \
  do {                                                                     \
    auto&& try_result_ = (expr);                                           \
    if (!try_result_) ret std::unexpected(std::move(try_result_).error()); \
  } while (0)
#define SAMOVAR_TRY2(ret, decl, ...) \
  SAMOVAR_TRY2_(ret, SAMOVAR_CONCAT(try_result_, __LINE__), decl, __VA_ARGS__)
#define SAMOVAR_TRY2_(ret, tmp, decl, ...)               \
  auto tmp = (__VA_ARGS__);                              \
  if (!tmp) ret std::unexpected(std::move(tmp).error()); \
  decl = std::move(*tmp)

#define CHECK(condition) \
  ((condition) ? (void)0 : ::samovar::CheckFailed(#condition, __FILE__, __LINE__))

namespace samovar {
[[noreturn]] void CheckFailed(const char* condition, const char* file, int line);
}
