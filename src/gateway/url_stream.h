#pragma once
// The answer of a function URL of InvokeMode RESPONSE_STREAM: its head, read from the stream's
// first pieces, and the body as it goes on.
// Errors   Those of the invocation where nothing was streamed yet.

#include <memory>

#include "gateway/stream_relay.h"
#include "net/http.h"
#include "wire/function_url.h"

namespace samovar {

struct UrlStream {
  UrlAnswer head;   // a failed function: 502, and no body
  BodyStream body;  // unset where head.body is all
};

Task<Result<UrlStream>> ReadUrlStream(std::shared_ptr<StreamReader> reader);

}  // namespace samovar
