#include "wire/stream_prelude.h"

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "wire/url_head.h"

namespace samovar {
namespace json = boost::json;
namespace {

constexpr std::size_t kNulls = 8;

}  // namespace

Result<void> StreamPrelude::Feed(std::string_view piece) {
  CHECK(!done_);
  std::size_t known = buffer_.size();
  std::size_t room = kMax + kNulls - known;
  std::string_view taken = piece.substr(0, std::min(room, piece.size()));
  buffer_ += taken;
  // JSON holds no NUL, so the first one ends it. It may have come with an earlier piece.
  std::size_t end = buffer_.find('\0', known > kNulls ? known - kNulls : 0);
  if (end == std::string::npos) {
    if (buffer_.size() <= kMax) return {};
    return Fail(Code::kInvalid, "the head of a streamed answer is longer than 64 KiB");
  }
  std::size_t body = end + kNulls;
  for (std::size_t i = end; i < std::min(body, buffer_.size()); ++i) {
    if (buffer_[i] != '\0') {
      return Fail(Code::kInvalid, "the head of a streamed answer does not end with 8 NUL bytes");
    }
  }
  if (buffer_.size() < body) return {};
  json::error_code error;
  json::value value = json::parse(std::string_view(buffer_).substr(0, end), error);
  if (error || !value.is_object() ||
      !ReadUrlHead(value.get_object(), "application/octet-stream", head_)) {
    return Fail(Code::kInvalid,
                "the head of a streamed answer is no {statusCode, headers, cookies}");
  }
  rest_ = piece.substr(body - known);
  done_ = true;
  return {};
}

}  // namespace samovar
