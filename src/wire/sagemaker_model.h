#pragma once
// SageMakerModel: the operations of Amazon SageMaker on models, endpoint configurations, endpoints
// and their tags: which there are, and their inputs, checked.
//
// How      Protocol JSON 1.1: the operation is named by X-Amz-Target, all members are in the body.
//          One table (sagemaker_model_data.cc, made by tools/gen_sagemaker_model.py) is checked as
//          Lambda's is.
// Errors   ValidationException "N validation errors detected: ..", SerializationException;
//          UnknownOperationException for what is not in the table.
// Threads  Immutable after construction; share it by const reference.
// Source   botocore data/sagemaker/2017-07-24/service-2.json.

#include <boost/json/object.hpp>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/aws_error.h"
#include "wire/lambda_shapes.h"

namespace samovar {

class SageMakerModel {
 public:
  SageMakerModel();

  // "CreateModel" of "SageMaker.CreateModel"; "" where the target is another service's.
  static std::string_view OperationOf(std::string_view target);
  bool Knows(std::string_view operation) const { return inputs_.contains(operation); }
  Result<boost::json::object> DecodeInput(std::string_view operation, std::string_view body) const;

 private:
  std::vector<Shape> shapes_;
  std::map<std::string, std::uint16_t, std::less<>> inputs_;
};

// An error in JSON 1.1: {"__type", "message"}.
ErrorReply SageMakerErrorReply(const Error& error, std::string_view request_id);

}  // namespace samovar
