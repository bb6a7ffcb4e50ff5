#pragma once
// LambdaModel: AWS Lambda's REST API as its service model describes it: which request is which
// operation, and its input, checked.
//
// Why      85 operations are told apart and checked from one table (lambda_model_data.cc, made by
//          tools/gen_lambda_model.py), so no handler parses paths or words AWS's validation errors.
// How      MatchRoute compares path segments in place; for an Invoke it takes well below a
//          microsecond. DecodeInput gathers members from path, query, headers and body under the
//          model's names, drops what the model does not know (as AWS does), and checks types,
//          required members, ranges, lengths, patterns and enums. Patterns run in RE2: linear time.
// Errors   ValidationException (400) "N validation errors detected: Value '..' at '..' failed to
//          satisfy constraint: ..", InvalidRequestContentException (400) "Could not parse request
//          body into json: ..", SerializationException (400) for a member of the wrong type.
// Threads  Immutable after construction (some milliseconds); share it by const reference.
// Source   botocore data/lambda/2015-03-31/service-2.json; wordings from recorded answers of AWS.

#include <array>
#include <boost/json/object.hpp>
#include <cstdint>
#include <expected>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/fields.h"

namespace samovar {

struct LambdaOperation {
  std::string_view name;         // "CreateFunction"
  std::string_view method;       // "POST"
  std::string_view path;         // "/2015-03-31/functions/{FunctionName}"
  std::uint16_t success_status;  // 201
  std::string_view payload;      // the member that is the whole body ("Payload"), or ""
  std::uint16_t input;           // index of its input shape
};

struct PathParam {
  std::string_view name;  // "FunctionName"
  std::string value;      // decoded
};

struct RouteMatch {
  const LambdaOperation* operation = nullptr;
  std::array<PathParam, 3> params;
  std::size_t param_count = 0;

  // The value of a path parameter, or "" where the path has none of that name.
  std::string_view Param(std::string_view name) const;
};

enum class RouteMiss : std::uint8_t {
  kNotLambda,         // nothing of Lambda's
  kUnknownOperation,  // "/DATE/..." as Lambda's paths look, but no operation has it
  kWrongMethod,       // the path is an operation's, the method is not
  kBadEncoding,       // a path segment that cannot be percent-decoded
};

// The answer to a request that matched nothing; its name and status are AWS's.
Error RouteMissError(RouteMiss miss, std::string_view method, std::string_view path);

class LambdaModel {
 public:
  LambdaModel();
  ~LambdaModel();

  // `path` and `raw_query` still percent-encoded, as sent.
  std::expected<RouteMatch, RouteMiss> MatchRoute(std::string_view method, std::string_view path,
                                                  std::string_view raw_query) const;

  // `body` is ignored where the operation's body is a payload; an empty body is an empty object.
  // List members of the query become arrays, numbers and booleans JSON numbers and booleans.
  Result<boost::json::object> DecodeInput(const RouteMatch& route, std::string_view raw_query,
                                          FieldsView headers, std::string_view body) const;

  const LambdaOperation* FindOperation(std::string_view name) const;
  std::size_t OperationCount() const;

  // Checks a function name (of Invoke: with dots, $LATEST.PUBLISHED) and a qualifier ("" for
  // none). Plain names of letters, digits, '-' and '_' do not reach the regular expression.
  Result<void> CheckInvokeTarget(std::string_view function_name, std::string_view qualifier) const;

 private:
  struct Data;
  std::unique_ptr<const Data> data_;
};

}  // namespace samovar
