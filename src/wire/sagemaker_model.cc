#include "wire/sagemaker_model.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/stream_parser.hpp>

#include "wire/lambda_input.h"
#include "wire/request_json.h"
#include "wire/sagemaker_model_data.h"

namespace samovar {
namespace json = boost::json;

SageMakerModel::SageMakerModel() {
  json::stream_parser parser;
  for (std::string_view piece : SageMakerModelJson()) parser.write(piece.data(), piece.size());
  parser.finish();
  const json::value text = parser.release();
  for (const json::value& shape : text.at("shapes").as_array()) {
    shapes_.emplace_back(shape.as_object());
  }
  for (const json::value& entry : text.at("operations").as_array()) {
    const json::array& operation = entry.as_array();
    inputs_[std::string(operation[0].as_string())] = operation[5].to_number<std::uint16_t>();
  }
}

std::string_view SageMakerModel::OperationOf(std::string_view target) {
  constexpr std::string_view kPrefix = "SageMaker.";
  return target.starts_with(kPrefix) ? target.substr(kPrefix.size()) : std::string_view();
}

Result<json::object> SageMakerModel::DecodeInput(std::string_view operation,
                                                 std::string_view body) const {
  auto input = inputs_.find(operation);
  if (input == inputs_.end()) {
    return Fail(Code::kUnsupported,
                fmt::format("{} of SageMaker is not served here; served are models, endpoint "
                            "configurations, endpoints and their tags",
                            operation),
                "UnknownOperationException");
  }
  json::value members = json::object();
  if (!body.empty()) {
    auto parsed = ParseRequestJson(body);
    if (!parsed) {
      return Fail(Code::kInvalid, std::move(parsed.error().message), "SerializationException");
    }
    members = *std::move(parsed);
  }
  InputChecker checker(shapes_);
  TRY(json::value value, checker.FromJson(input->second, std::move(members), ""));
  TRY(checker.Verdict());
  return std::move(value.as_object());
}

ErrorReply SageMakerErrorReply(const Error& error, std::string_view request_id) {
  std::string_view name = AwsErrorName(error);
  // What the control plane of SageMaker calls the things that every AWS API has.
  if (error.name.empty()) {
    if (error.code == Code::kInvalid || error.code == Code::kNotFound) name = "ValidationException";
    if (error.code == Code::kConflict) name = "ResourceInUse";
  }
  unsigned status = 400;
  if (error.code == Code::kDenied) status = AwsErrorStatus(error);
  if (error.code == Code::kInternal) status = 500;
  if (error.code == Code::kUnavailable || error.code == Code::kOverloaded) status = 503;
  ErrorReply reply{
      .status = status,
      .headers = {{"Content-Type", "application/x-amz-json-1.1"},
                  {"x-amzn-RequestId", std::string(request_id)}},
      .body = json::serialize(json::object{{"__type", name}, {"message", error.message}})};
  return reply;
}

}  // namespace samovar
