#pragma once
// EndpointCall: SageMaker's runtime API on the wire: InvokeEndpoint and
// InvokeEndpointWithResponseStream, their answers and errors.
//
// How      POST /endpoints/NAME/invocations[-response-stream]; the body is the payload whatever its
//          content type, all else travels in headers. A function that is no model gets a JSON body
//          as its event as it is, and any other in an event like a function URL's, body in base64.
// Errors   ValidationError (400) where the request is wrong; ModelError (424) where the model is.
// Source   botocore data/sagemaker-runtime/2017-05-13/service-2.json; recorded answers.

#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/aws_error.h"
#include "wire/fields.h"

namespace samovar {

struct EndpointCall {
  std::string endpoint = {};
  bool streaming = false;
  std::string content_type = {};  // as sent, or ""
  std::string accept = {};        // as sent; "" too where it was */*
  std::string target_variant = {};
  std::string custom_attributes = {};
  std::string inference_id = {};
};

// The call that a request means; nullopt where its path is another's. `path` still encoded.
std::optional<Result<EndpointCall>> ReadEndpointCall(std::string_view method, std::string_view path,
                                                     FieldsView headers);

// "text/csv" of "Text/CSV; header=absent".
std::string MediaType(std::string_view content_type);
// Whether a payload of that type goes to a function as its event: application/json, any +json, "".
bool IsJsonType(std::string_view content_type);

// The event of a payload that is not JSON. `variant`: the one that was picked.
std::string EndpointEvent(const EndpointCall& call, std::string_view variant, std::string_view body,
                          std::string_view request_id);

// What went wrong in the model: 424. `status`: its own; 0 where it gave none in time.
struct ModelFailure {
  unsigned status = 500;
  std::string message = {};
  std::string log_stream = {};  // an ARN
};
ErrorReply ModelErrorReply(const ModelFailure& failure, std::string_view request_id);
// Any other error, in the runtime API's names.
ErrorReply EndpointErrorReply(const Error& error, std::string_view request_id);
std::string_view EndpointErrorName(const Error& error);  // "ServiceUnavailable"

// Pieces of a streamed answer, as event-stream messages.
std::string PayloadPartEvent(std::string_view bytes);  // REQUIRES: at most kMaxEventPayload
std::string StreamFailureEvent(std::string_view name, std::string_view message,
                               std::string_view error_code);

}  // namespace samovar
