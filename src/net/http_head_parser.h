#pragma once
// HttpHeadParser: Beast's parser, writing straight into an HttpRequest.
//
// Why      Beast's own request_parser builds a container of fields that would be copied at once.
// Errors   Beast's error codes; header_limit past 64 KiB of head or of trailers.

#include <boost/beast/http/basic_parser.hpp>
#include <boost/beast/http/error.hpp>
#include <string>
#include <string_view>

#include "net/http.h"

namespace samovar {

class HttpHeadParser final : public boost::beast::http::basic_parser<true> {
 public:
  static constexpr std::uint32_t kLimit = 64 << 10;

  HttpHeadParser(HttpRequest& request, Headers& trailers)
      : request_(&request), trailers_(trailers) {
    header_limit(kLimit);
    body_limit(boost::none);
  }

  // What put() found of a chunked body since it was last taken.
  std::string& Piece() { return piece_; }
  int Version() const { return version_; }  // 10 or 11
  // The request moves on to its handler; what comes now is body and trailers.
  void Detach() { request_ = nullptr; }

 private:
  using Error = boost::beast::error_code;
  using View = boost::beast::string_view;

  void on_request_impl(boost::beast::http::verb, View method, View target, int version,
                       Error&) override {
    version_ = version;
    request_->method.assign(method.data(), method.size());
    request_->target.assign(target.data(), target.size());
  }
  void on_field_impl(boost::beast::http::field, View name, View value, Error& error) override {
    field_bytes_ += name.size() + value.size() + 4;
    if (field_bytes_ > kLimit) {
      error = boost::beast::http::error::header_limit;
      return;
    }
    Headers& headers = request_ ? request_->headers : trailers_;
    headers.Add({name.data(), name.size()}, {value.data(), value.size()});
  }
  std::size_t on_chunk_body_impl(std::uint64_t, View body, Error&) override {
    piece_.append(body.data(), body.size());
    return body.size();
  }
  std::size_t on_body_impl(View body, Error&) override { return body.size(); }
  void on_response_impl(int, View, int, Error&) override {}
  void on_header_impl(Error&) override { field_bytes_ = 0; }
  void on_body_init_impl(const boost::optional<std::uint64_t>&, Error&) override {}
  void on_chunk_header_impl(std::uint64_t, View, Error&) override {}
  void on_finish_impl(Error&) override {}

  HttpRequest* request_;
  Headers& trailers_;
  int version_ = 11;
  std::size_t field_bytes_ = 0;
  std::string piece_;
};

}  // namespace samovar
