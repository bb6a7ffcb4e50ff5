#include "wire/invoke_request.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>

#include "base/encoding.h"
#include "wire/request_json.h"

namespace samovar {
namespace {

constexpr std::size_t kMaxClientContext = 3583;  // as base64

std::optional<InvocationType> TypeOf(std::string_view operation, std::string_view text) {
  if (operation == "InvokeAsync") return InvocationType::kEvent;
  if (text.empty() || text == "RequestResponse") return InvocationType::kRequestResponse;
  if (text == "DryRun") return InvocationType::kDryRun;
  if (text == "Event" && operation == "Invoke") return InvocationType::kEvent;
  return std::nullopt;
}

Result<std::string> DecodeClientContext(std::string_view text) {
  if (text.size() > kMaxClientContext) {
    return Fail(Code::kInvalid, "Client context must be no longer than 3583 bytes.",
                "InvalidRequestContentException");
  }
  if (auto decoded = Base64Decode(text)) {
    boost::json::error_code error;
    boost::json::value value = boost::json::parse(*decoded, error);
    // The runtimes take it over frames and headers whose fields end at a NUL or a line's end; JSON
    // has such bytes only as white space.
    if (!error && value.is_object()) {
      for (char& c : *decoded) {
        if (c == '\n' || c == '\r' || c == '\t') c = ' ';
      }
      return *std::move(decoded);
    }
  }
  return Fail(Code::kInvalid, "Client context must be a valid Base64-encoded JSON object.",
              "InvalidRequestContentException");
}

}  // namespace

Result<InvokeRequest> ReadInvokeRequest(const LambdaModel& model, const RouteMatch& route,
                                        std::string_view raw_query, FieldsView headers) {
  InvokeRequest request;
  request.function_name = route.Param("FunctionName");
  if (!raw_query.empty()) {
    for (auto& [name, value] : ParseQuery(raw_query)) {
      if (name == "Qualifier") request.qualifier = std::move(value);
    }
  }
  auto type = TypeOf(route.operation->name, FieldOr(headers, "x-amz-invocation-type"));
  std::string_view log = FieldOr(headers, "x-amz-log-type");
  if (!type || (!log.empty() && log != "None" && log != "Tail")) {
    TRY(model.DecodeInput(route, raw_query, headers, {}));  // words the violation
    return Fail(Code::kInternal, "an invocation's type was refused here and not by the model");
  }
  TRY(model.CheckInvokeTarget(request.function_name, request.qualifier));
  request.type = *type;
  request.log_tail = log == "Tail";
  request.trace_id = FieldOr(headers, "x-amzn-trace-id");
  request.tenant_id = FieldOr(headers, "x-amz-tenant-id");
  std::string_view context = FieldOr(headers, "x-amz-client-context");
  if (!context.empty()) {
    TRY(request.client_context, DecodeClientContext(context));
  }
  return request;
}

Result<void> CheckInvokePayload(std::string_view payload) {
  if (payload.empty()) return {};
  return ValidateJson(payload,
                      "Could not parse request body into json: Could not parse payload into json");
}

}  // namespace samovar
