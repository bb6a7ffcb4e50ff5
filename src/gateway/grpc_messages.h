#pragma once
// Messages of inference.GRPCInferenceService to and from what the other doors speak: InferMessage
// and v2 JSON. The only header with gRPC's or protobuf's types; grpc_door.cc includes it.
// Errors   kInvalid, naming the tensor.

#include <gateway_proto/open_inference.pb.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>

#include "base/error.h"
#include "wire/infer_message.h"

namespace samovar {

// Takes the raw tensors out of the request.
Result<InferMessage> FromProto(inference::ModelInferRequest& request);
void ToProto(InferMessage answer, inference::ModelInferResponse& response);
void ToProto(const boost::json::object& metadata, inference::ModelMetadataResponse& response);
void ToProto(const boost::json::object& config, inference::ModelConfig& response);
void ToProto(const boost::json::array& index, inference::RepositoryIndexResponse& response);

}  // namespace samovar
