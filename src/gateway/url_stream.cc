#include "gateway/url_stream.h"

#include "wire/stream_prelude.h"

namespace samovar {
namespace {

// What is left to send once the head is known.
struct UrlBody {
  std::shared_ptr<StreamReader> reader;
  std::string first;  // bytes that came with the head
  bool ended = false;
};

Task<Result<std::optional<std::string>>> NextPiece(std::shared_ptr<UrlBody> body) {
  if (!body->first.empty()) co_return std::exchange(body->first, {});
  while (!body->ended) {
    auto item = co_await body->reader->Take();
    if (!item) co_return Fail(Code::kUnavailable, "the invocation was broken off");
    if (item->kind == StreamItem::Kind::kChunk && !item->text.empty()) {
      co_return std::move(item->text);
    }
    if (item->kind != StreamItem::Kind::kEnd) continue;
    body->ended = true;
    if (!*item->end) co_return std::unexpected(item->end->error());
    // An error after bytes were sent can only be shown by an answer that breaks off.
    if (!(*item->end)->function_error.empty()) {
      co_return Fail(Code::kInternal, "the function failed in mid-stream");
    }
  }
  co_return std::optional<std::string>();
}

UrlStream WithBody(UrlAnswer head, std::shared_ptr<UrlBody> body) {
  UrlStream stream;
  stream.head = std::move(head);
  stream.body = [body = std::move(body)] { return NextPiece(body); };
  return stream;
}

// The function ended without a streamed head.
Result<UrlStream> Ended(const StreamItem& item) {
  if (!*item.end) return std::unexpected(item.end->error());
  UrlStream stream;
  auto& result = **item.end;
  stream.head = result.function_error.empty() ? UrlAnswer{200, {}, result.payload} : UrlFailure();
  if (result.function_error.empty()) {
    stream.head.headers.emplace_back("Content-Type", "application/octet-stream");
  }
  return stream;
}

}  // namespace

Task<Result<UrlStream>> ReadUrlStream(std::shared_ptr<StreamReader> reader) {
  auto begin = co_await reader->Take();
  if (!begin) co_return Fail(Code::kUnavailable, "the server is stopping");
  if (begin->kind == StreamItem::Kind::kEnd) co_return Ended(*begin);
  auto body = std::make_shared<UrlBody>();
  body->reader = reader;
  if (begin->text != kHttpIntegrationContentType) {
    UrlAnswer head;
    head.headers.emplace_back("Content-Type",
                              begin->text.empty() ? "application/octet-stream" : begin->text);
    co_return WithBody(std::move(head), std::move(body));
  }
  StreamPrelude prelude;
  while (!prelude.Done()) {
    auto item = co_await reader->Take();
    if (!item) co_return Fail(Code::kUnavailable, "the invocation was broken off");
    if (item->kind == StreamItem::Kind::kEnd) {
      if (!*item->end) co_return std::unexpected(item->end->error());
      co_return UrlStream{UrlFailure(), nullptr};
    }
    if (!item->text.empty() && !prelude.Feed(item->text)) {
      co_return UrlStream{UrlFailure(), nullptr};
    }
  }
  body->first = prelude.Rest();
  co_return WithBody(std::move(prelude.Head()), std::move(body));
}

}  // namespace samovar
