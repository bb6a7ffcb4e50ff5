#include "wire/aws_error.h"

#include <algorithm>
#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

#include "wire/utf8.h"

namespace samovar {
namespace {

// How the body names the message, by the error's shape in the model.
enum class Key : bool { kLower, kUpper };
// Whether the body says "Type": "User". Errors that are of no service in particular do not.
enum class Typed : bool { kNo, kYes };

struct NamedError {
  std::string_view name;
  unsigned status;
  Key key;
  Typed typed;
};

constexpr auto kLower = Key::kLower;
constexpr auto kUpper = Key::kUpper;

// Lambda's own (botocore's exception shapes), then those of every AWS API. Sorted by name.
constexpr std::array kErrors = std::to_array<NamedError>({
    {"AccessDeniedException", 403, kUpper, Typed::kNo},
    {"CallbackTimeoutException", 400, kUpper, Typed::kYes},
    {"CapacityProviderLimitExceededException", 400, kLower, Typed::kYes},
    {"CodeSigningConfigNotFoundException", 404, kUpper, Typed::kYes},
    {"CodeStorageExceededException", 400, kLower, Typed::kYes},
    {"CodeVerificationFailedException", 400, kUpper, Typed::kYes},
    {"DurableExecutionAlreadyStartedException", 409, kUpper, Typed::kYes},
    {"EC2AccessDeniedException", 502, kUpper, Typed::kYes},
    {"EC2ThrottledException", 502, kUpper, Typed::kYes},
    {"EC2UnexpectedException", 502, kUpper, Typed::kYes},
    {"EFSIOException", 410, kUpper, Typed::kYes},
    {"EFSMountConnectivityException", 408, kUpper, Typed::kYes},
    {"EFSMountFailureException", 403, kUpper, Typed::kYes},
    {"EFSMountTimeoutException", 408, kUpper, Typed::kYes},
    {"ENILimitReachedException", 502, kUpper, Typed::kYes},
    {"ExpiredTokenException", 403, kLower, Typed::kNo},
    {"FunctionVersionsPerCapacityProviderLimitExceededException", 400, kLower, Typed::kYes},
    {"IncompleteSignatureException", 403, kLower, Typed::kNo},
    {"InvalidCodeSignatureException", 400, kUpper, Typed::kYes},
    {"InvalidParameterValueException", 400, kLower, Typed::kYes},
    {"InvalidRequestContentException", 400, kLower, Typed::kYes},
    {"InvalidRuntimeException", 502, kUpper, Typed::kYes},
    {"InvalidSecurityGroupIDException", 502, kUpper, Typed::kYes},
    {"InvalidSignatureException", 403, kLower, Typed::kNo},
    {"InvalidSubnetIDException", 502, kUpper, Typed::kYes},
    {"InvalidZipFileException", 502, kUpper, Typed::kYes},
    {"KMSAccessDeniedException", 502, kUpper, Typed::kYes},
    {"KMSDisabledException", 502, kUpper, Typed::kYes},
    {"KMSInvalidStateException", 502, kUpper, Typed::kYes},
    {"KMSNotFoundException", 502, kUpper, Typed::kYes},
    {"MethodNotAllowedException", 405, kLower, Typed::kNo},
    {"MissingAuthenticationTokenException", 403, kLower, Typed::kNo},
    {"NoPublishedVersionException", 400, kUpper, Typed::kYes},
    {"PolicyLengthExceededException", 400, kLower, Typed::kYes},
    {"PreconditionFailedException", 412, kLower, Typed::kYes},
    {"ProvisionedConcurrencyConfigNotFoundException", 404, kLower, Typed::kYes},
    {"RecursiveInvocationException", 400, kUpper, Typed::kYes},
    {"RequestEntityTooLargeException", 413, kLower, Typed::kNo},
    {"RequestTimeoutException", 408, kLower, Typed::kNo},
    {"RequestTooLargeException", 413, kLower, Typed::kYes},
    {"ResourceConflictException", 409, kLower, Typed::kYes},
    {"ResourceInUseException", 400, kUpper, Typed::kYes},
    {"ResourceNotFoundException", 404, kUpper, Typed::kYes},
    {"ResourceNotReadyException", 502, kLower, Typed::kYes},
    {"S3FilesMountConnectivityException", 408, kUpper, Typed::kYes},
    {"S3FilesMountFailureException", 403, kUpper, Typed::kYes},
    {"S3FilesMountTimeoutException", 408, kUpper, Typed::kYes},
    {"SerializationException", 400, kUpper, Typed::kNo},
    {"SerializedRequestEntityTooLargeException", 413, kLower, Typed::kYes},
    {"ServiceException", 500, kUpper, Typed::kYes},
    {"ServiceUnavailableException", 503, kLower, Typed::kNo},
    {"SnapStartException", 400, kUpper, Typed::kYes},
    {"SnapStartNotReadyException", 409, kUpper, Typed::kYes},
    {"SnapStartTimeoutException", 408, kUpper, Typed::kYes},
    {"SubnetIPAddressLimitReachedException", 502, kUpper, Typed::kYes},
    {"ThrottlingException", 400, kLower, Typed::kNo},
    {"TooManyRequestsException", 429, kLower, Typed::kYes},
    {"UnknownOperationException", 404, kUpper, Typed::kNo},
    {"UnrecognizedClientException", 403, kLower, Typed::kNo},
    {"UnsupportedMediaTypeException", 415, kLower, Typed::kYes},
    {"UnsupportedOperationException", 400, kLower, Typed::kNo},
    {"ValidationException", 400, kLower, Typed::kNo},
});
static_assert(std::ranges::is_sorted(kErrors, {}, &NamedError::name));

// What a Code without a name is called.
std::string_view DefaultName(Code code) {
  switch (code) {
    case Code::kInvalid:
      return "InvalidParameterValueException";
    case Code::kNotFound:
      return "ResourceNotFoundException";
    case Code::kConflict:
      return "ResourceConflictException";
    case Code::kPrecondition:
      return "PreconditionFailedException";
    case Code::kDenied:
      return "AccessDeniedException";
    case Code::kTooLarge:
      return "RequestTooLargeException";
    case Code::kUnsupported:
      return "UnsupportedOperationException";
    case Code::kThrottled:
    case Code::kOverloaded:
      return "TooManyRequestsException";
    case Code::kTimeout:
      return "RequestTimeoutException";
    case Code::kUnavailable:
      return "ServiceUnavailableException";
    case Code::kInternal:
      return "ServiceException";
  }
  return "ServiceException";
}

const NamedError* Find(std::string_view name) {
  auto found = std::ranges::lower_bound(kErrors, name, {}, &NamedError::name);
  return found != kErrors.end() && found->name == name ? &*found : nullptr;
}

// A name that the table lacks answers as its Code does, with "message".
NamedError Describe(const Error& error) {
  std::string_view name = AwsErrorName(error);
  if (const NamedError* known = Find(name)) return *known;
  return {name, Find(DefaultName(error.code))->status, kLower, Typed::kYes};
}

}  // namespace

std::string_view AwsErrorName(const Error& error) {
  return error.name.empty() ? DefaultName(error.code) : error.name;
}

unsigned AwsErrorStatus(const Error& error) { return Describe(error).status; }

std::string LambdaErrorBody(const Error& error) {
  NamedError named = Describe(error);
  boost::json::object body;
  if (!error.reason.empty()) body["Reason"] = error.reason;
  if (named.typed == Typed::kYes) body["Type"] = named.status >= 500 ? "Service" : "User";
  body[named.key == kUpper ? "Message" : "message"] = AsUtf8(error.message);
  return boost::json::serialize(body);
}

ErrorReply LambdaErrorReply(const Error& error, std::string_view request_id) {
  ErrorReply reply{.status = AwsErrorStatus(error),
                   .headers = {{"Content-Type", "application/json"},
                               {"x-amzn-ErrorType", std::string(AwsErrorName(error))}},
                   .body = LambdaErrorBody(error)};
  if (!request_id.empty()) reply.headers.emplace_back("x-amzn-RequestId", request_id);
  if (reply.status == 429) reply.headers.emplace_back("Retry-After", "1");
  return reply;
}

}  // namespace samovar
