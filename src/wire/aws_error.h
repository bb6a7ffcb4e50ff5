#pragma once
// The one table from Code to an AWS error's name and HTTP status, and the answer that carries it.
//
// How      An Error with a name answers that name with the name's own status; without one, the
//          Code's default. REST-JSON: the name in x-amzn-ErrorType, the body {"Type", "message"}
//          with "message" or "Message" as that error's shape in the model has it (and "Reason"
//          where the Error has one).
// Source   botocore's exception shapes; recorded answers.

#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/fields.h"

namespace samovar {

std::string_view AwsErrorName(const Error& error);  // "ResourceNotFoundException"
unsigned AwsErrorStatus(const Error& error);        // 404

struct ErrorReply {
  unsigned status = 500;
  Fields headers;    // Content-Type, x-amzn-ErrorType, x-amzn-RequestId, Retry-After of a 429
  std::string body;  // JSON
};

ErrorReply LambdaErrorReply(const Error& error, std::string_view request_id);
// The body alone.
std::string LambdaErrorBody(const Error& error);

}  // namespace samovar
