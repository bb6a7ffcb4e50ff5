#pragma once
// The Lambda Runtime API, version 2018-06-01: which request is which call, names of its headers,
// and its answers' bodies. (The exchange itself is in src/instances.) Source
// docs.aws.amazon.com/lambda/latest/dg/runtimes-api.html; the Runtime Interface Emulator.

#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

enum class RuntimeCall : std::uint8_t {
  kNext,          // GET  /runtime/invocation/next
  kResponse,      // POST /runtime/invocation/{id}/response
  kError,         // POST /runtime/invocation/{id}/error
  kInitError,     // POST /runtime/init/error
  kRestoreNext,   // GET  /runtime/restore/next
  kRestoreError,  // POST /runtime/restore/error
  kUnknown,       // 404
  kWrongMethod,   // 405
};

struct RuntimeRoute {
  RuntimeCall call = RuntimeCall::kUnknown;
  std::string_view request_id;  // points into the path; for kResponse and kError
};

RuntimeRoute MatchRuntimeRoute(std::string_view method, std::string_view path);

namespace runtime_header {
inline constexpr std::string_view kRequestId = "Lambda-Runtime-Aws-Request-Id";
inline constexpr std::string_view kDeadlineMs = "Lambda-Runtime-Deadline-Ms";
inline constexpr std::string_view kInvokedArn = "Lambda-Runtime-Invoked-Function-Arn";
inline constexpr std::string_view kTraceId = "Lambda-Runtime-Trace-Id";
inline constexpr std::string_view kClientContext = "Lambda-Runtime-Client-Context";
inline constexpr std::string_view kCognitoIdentity = "Lambda-Runtime-Cognito-Identity";
inline constexpr std::string_view kTenantId = "Lambda-Runtime-Aws-Tenant-Id";
inline constexpr std::string_view kResponseMode = "Lambda-Runtime-Function-Response-Mode";
inline constexpr std::string_view kErrorType = "Lambda-Runtime-Function-Error-Type";
inline constexpr std::string_view kErrorBody = "Lambda-Runtime-Function-Error-Body";
inline constexpr std::string_view kXrayErrorCause = "Lambda-Runtime-Function-XRay-Error-Cause";
}  // namespace runtime_header

// {"errorMessage": ..., "errorType": ...}, e.g. type "InvalidRequestID".
std::string RuntimeErrorBody(std::string_view type, std::string_view message);
// {"status": "OK"}: the body of every 202.
inline constexpr std::string_view kRuntimeAccepted = "{\"status\":\"OK\"}\n";

// The errorType that a function's error JSON names, or `fallback` where it is no such JSON.
std::string FunctionErrorType(std::string_view error_json, std::string_view fallback);

}  // namespace samovar
