#pragma once
// InvokeRequest: what the headers and query of an Invoke say.
//
// Errors   ValidationException for an unknown invocation or log type,
//          InvalidRequestContentException for a client context that is not base64 of JSON or is
//          longer than AWS takes.
// Source   Lambda's Invoke, InvokeWithResponseStream (botocore model).

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/fields.h"
#include "wire/lambda_model.h"

namespace samovar {

enum class InvocationType : std::uint8_t { kRequestResponse, kEvent, kDryRun };

struct InvokeRequest {
  std::string function_name;  // as in the path, decoded
  std::string qualifier;      // of the query, or ""
  InvocationType type = InvocationType::kRequestResponse;
  bool log_tail = false;
  std::string client_context;  // JSON, decoded
  std::string trace_id;        // X-Amzn-Trace-Id as sent, or ""
  std::string tenant_id;
};

// `route` is Invoke, InvokeAsync (always an Event) or InvokeWithResponseStream.
Result<InvokeRequest> ReadInvokeRequest(const LambdaModel& model, const RouteMatch& route,
                                        std::string_view raw_query, FieldsView headers);

// Invoke's payload must be JSON (or empty): InvalidRequestContentException "Could not parse request
// body into json: Could not parse payload into json: ..".
Result<void> CheckInvokePayload(std::string_view payload);

}  // namespace samovar
