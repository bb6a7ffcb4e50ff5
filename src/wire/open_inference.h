#pragma once
// Open Inference Protocol v2 over HTTP: which request means what, and bodies with binary tensors.
//
// How      Names, versions and headers are read here; tensors are not looked at: a body goes to the
//          model as it came. With the binary tensor extension a body is a JSON header of N bytes
//          and then raw tensors; HTTP says N in Inference-Header-Content-Length, and between
//          Samovar's processes the content type says it.
// Errors   {"error": "..."}, status by the Error's code.
// Source   github.com/kserve/open-inference-protocol; Triton's extensions binary_tensor_data and
//          model_repository.

#include <boost/json/object.hpp>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/aws_error.h"
#include "wire/fields.h"

namespace samovar {

enum class InferenceAction : std::uint8_t {
  kServerMetadata,
  kServerLive,
  kServerReady,
  kModelMetadata,
  kModelReady,
  kModelConfig,
  kInfer,
  kRepositoryIndex,
  kRepositoryLoad,
  kRepositoryUnload,
};

struct InferenceRoute {
  InferenceAction action{};
  std::string model = {};    // a function's name
  std::string version = {};  // its version or alias; "" where none was named
};

// nullopt where the path is not under /v2; kNotFound and kInvalid for what is there and wrong.
std::optional<Result<InferenceRoute>> MatchInferenceRoute(std::string_view method,
                                                          std::string_view path);

inline constexpr std::string_view kInferenceHeaderLength = "Inference-Header-Content-Length";
// "application/octet-stream; inference-header-content-length=N"
std::string BinaryTensorType(std::size_t header_length);
// N of such a type; nullopt where it is another.
std::optional<std::size_t> BinaryHeaderLength(std::string_view content_type);
// The content type that the model gets: of a request with these headers and that long a body.
Result<std::string> InferenceBodyType(FieldsView headers, std::size_t body_size);

// "name: what", as every error of this protocol is told.
ErrorReply InferenceErrorReply(const Error& error, std::string_view request_id);

// Triton's model configuration, as far as metadata tells it.
boost::json::object ModelConfigOf(const boost::json::object& metadata);

}  // namespace samovar
