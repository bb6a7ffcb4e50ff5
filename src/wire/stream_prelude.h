#pragma once
// StreamPrelude: the head of a streamed HTTP answer: JSON {statusCode, headers, cookies}, eight NUL
// bytes, then the body (content type application/vnd.awslambda.http-integration-response).
//
// How      Feed pieces until Done(); then Rest() is what of the body came along.
// Errors   kInvalid for JSON that is no such object or a prelude beyond kMax bytes.

#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/function_url.h"

namespace samovar {

inline constexpr std::string_view kHttpIntegrationContentType =
    "application/vnd.awslambda.http-integration-response";

class StreamPrelude {
 public:
  static constexpr std::size_t kMax = 64 * 1024;

  Result<void> Feed(std::string_view piece);  // REQUIRES: !Done()
  bool Done() const { return done_; }
  UrlAnswer& Head() { return head_; }              // REQUIRES: Done(); its body is empty
  std::string_view Rest() const { return rest_; }  // REQUIRES: Done()

 private:
  std::string buffer_;
  std::string rest_;
  UrlAnswer head_;
  bool done_ = false;
};

}  // namespace samovar
