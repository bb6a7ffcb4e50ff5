#include "instances/worker.h"

#include <fmt/format.h>

#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <utility>

namespace samovar {

Task<void> AnswerStream::Begin(std::string content_type) {
  began_ = true;
  content_type_ = content_type;
  if (sink_) listening_ = co_await Pass(sink_->begin(std::move(content_type)));
}

Task<void> AnswerStream::Chunk(std::string piece) {
  if (!sink_) {
    too_large_ = too_large_ || collected_.size() + piece.size() > bound_.count;
    if (!too_large_) collected_ += piece;
  } else if (listening_) {
    listening_ = co_await Pass(sink_->chunk(std::move(piece)));
  }
}

Task<bool> AnswerStream::Pass(Task<bool> piece) {
  using asio::experimental::awaitable_operators::operator||;
  if (!closing_) co_return co_await std::move(piece);
  if (closing_->closed) co_return false;
  auto first = co_await (std::move(piece) || closing_->signal.Wait());
  co_return first.index() == 0 && std::get<0>(first);
}

WorkerReply AnswerStream::End() {
  if (too_large_) return TooLargeReply(bound_);
  return {.ending = Ending::kAnswered,
          .payload = std::move(collected_),
          .content_type = std::move(content_type_)};
}

WorkerReply AnswerStream::Fail(std::string error_type, std::string error_json) {
  return {.ending = Ending::kFailed,
          .payload = std::move(error_json),
          .content_type = std::move(content_type_),
          .error_type = std::move(error_type)};
}

std::string PlatformErrorJson(std::string_view type, std::string_view message) {
  boost::json::object error{{"errorType", type}, {"errorMessage", message}};
  return boost::json::serialize(error);
}

WorkerReply TooLargeReply(Bytes bound) {
  constexpr std::string_view kType = "Function.ResponseSizeTooLarge";
  auto message = fmt::format(
      "Response payload size exceeded maximum allowed payload size ({} bytes).", bound.count);
  boost::json::object error{{"errorMessage", message}, {"errorType", kType}};
  return {.ending = Ending::kTooLarge,
          .payload = boost::json::serialize(error),
          .error_type = std::string(kType)};
}

}  // namespace samovar
