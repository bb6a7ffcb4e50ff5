#pragma once
// InferMessage: one inference request or answer of the Open Inference Protocol, taken apart.
//
// Why      gRPC and HTTP say the same things in two forms, and a function that is no model takes
//          JSON only; each form is made from this one.
// How      Tensors are raw little-endian bytes in row-major order; a BYTES element is its u32
//          length and then its bytes. JSON data is flat or nested lists.
// Errors   kInvalid, naming the tensor, what was expected and what came.
// Source   Open Inference Protocol v2; Triton's binary tensor extension.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"

namespace samovar {

struct InferTensor {
  std::string name = {};
  std::string datatype = {};  // "FP32"
  std::vector<std::int64_t> shape = {};
  boost::json::object parameters = {};
  std::string raw = {};  // of a requested output: nothing
};

struct InferMessage {
  std::string model_name = {};
  std::string model_version = {};
  std::string id = {};
  boost::json::object parameters = {};
  std::vector<InferTensor> inputs = {};
  std::vector<InferTensor> outputs = {};  // of a request: those that are wanted, by name
};

struct InferBody {
  std::string content_type;
  std::string body;
};

// A request whose tensors are binary and whose answer's are to be.
InferBody EncodeBinaryRequest(const InferMessage& request);
// The same in JSON alone; kTooLarge where tensors make that larger than `most`.
Result<InferBody> EncodeJsonRequest(const InferMessage& request, Bytes most);
// A request or an answer in either form (told apart by its content type).
Result<InferMessage> DecodeInferBody(std::string_view content_type, std::string_view body);

// One tensor's values as JSON, and back. An unknown datatype is kInvalid.
Result<boost::json::array> TensorValues(std::string_view datatype, std::string_view raw);
Result<std::string> TensorBytes(std::string_view datatype, const boost::json::value& data);

}  // namespace samovar
