#include "gateway/grpc_messages.h"

#include <fmt/format.h>

#include <boost/json/serialize.hpp>

namespace samovar {
namespace {

namespace json = boost::json;

using Parameters = google::protobuf::Map<std::string, inference::InferParameter>;
using Contents = inference::InferTensorContents;

json::object ParametersOf(const Parameters& from) {
  json::object to;
  for (const auto& [key, value] : from) {
    switch (value.parameter_choice_case()) {
      case inference::InferParameter::kBoolParam:
        to[key] = value.bool_param();
        break;
      case inference::InferParameter::kInt64Param:
        to[key] = value.int64_param();
        break;
      case inference::InferParameter::kStringParam:
        to[key] = value.string_param();
        break;
      case inference::InferParameter::kDoubleParam:
        to[key] = value.double_param();
        break;
      case inference::InferParameter::kUint64Param:
        to[key] = value.uint64_param();
        break;
      case inference::InferParameter::PARAMETER_CHOICE_NOT_SET:
        break;
    }
  }
  return to;
}

void SetParameters(const json::object& from, Parameters& to) {
  for (const auto& [key, value] : from) {
    auto& parameter = to[std::string(key)];
    if (value.is_bool()) {
      parameter.set_bool_param(value.get_bool());
    } else if (value.is_int64()) {
      parameter.set_int64_param(value.get_int64());
    } else if (value.is_uint64()) {
      parameter.set_uint64_param(value.get_uint64());
    } else if (value.is_double()) {
      parameter.set_double_param(value.get_double());
    } else {
      parameter.set_string_param(value.is_string() ? std::string(value.get_string())
                                                   : json::serialize(value));
    }
  }
}

// Typed contents as the values that the datatype's JSON has.
template <class Field>
json::array ListOf(const Field& field) {
  json::array list;
  list.reserve(static_cast<std::size_t>(field.size()));
  for (const auto& value : field) list.push_back(json::value(value));
  return list;
}

// Values of all types together.
int CountOf(const Contents& contents) {
  return contents.bool_contents_size() + contents.int_contents_size() +
         contents.int64_contents_size() + contents.uint_contents_size() +
         contents.uint64_contents_size() + contents.fp32_contents_size() +
         contents.fp64_contents_size() + contents.bytes_contents_size();
}

Result<std::string> RawOf(const std::string& datatype, const Contents& contents) {
  if (datatype == "BYTES" && contents.bytes_contents_size() == CountOf(contents)) {
    // They need not be UTF-8.
    std::string raw;
    for (const auto& text : contents.bytes_contents()) {
      auto size = static_cast<std::uint32_t>(text.size());
      raw.append(reinterpret_cast<const char*>(&size), sizeof size) += text;
    }
    return raw;
  }
  json::array values;
  if (datatype == "BOOL") values = ListOf(contents.bool_contents());
  if (datatype == "INT8" || datatype == "INT16" || datatype == "INT32") {
    values = ListOf(contents.int_contents());
  }
  if (datatype == "UINT8" || datatype == "UINT16" || datatype == "UINT32") {
    values = ListOf(contents.uint_contents());
  }
  if (datatype == "INT64") values = ListOf(contents.int64_contents());
  if (datatype == "UINT64") values = ListOf(contents.uint64_contents());
  if (datatype == "FP32") values = ListOf(contents.fp32_contents());
  if (datatype == "FP64") values = ListOf(contents.fp64_contents());
  if (datatype == "FP16" || datatype == "BF16") {
    return Fail(Code::kInvalid, datatype + " travels in raw_input_contents only");
  }
  if (static_cast<int>(values.size()) != CountOf(contents)) {
    return Fail(Code::kInvalid, "contents hold values of another type than " + datatype);
  }
  return TensorBytes(datatype, values);
}

std::string TextAt(const json::object& from, std::string_view key) {
  const auto* value = from.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

template <class Message>
void SetNumbers(const json::object& from, std::string_view key, Message add) {
  const auto* list = from.if_contains(key);
  if (!list || !list->is_array()) return;
  for (const auto& value : list->get_array()) {
    boost::system::error_code error;
    add(value.to_number<std::int64_t>(error));
  }
}

// Calls `add` for each object of a list.
template <class Add>
void ForEach(const json::object& from, std::string_view key, Add add) {
  const auto* list = from.if_contains(key);
  if (!list || !list->is_array()) return;
  for (const auto& value : list->get_array()) {
    if (value.is_object()) add(value.get_object());
  }
}

inference::DataType DataTypeOf(const json::object& tensor) {
  auto type = inference::TYPE_INVALID;
  inference::DataType_Parse(TextAt(tensor, "data_type"), &type);
  return type;
}

}  // namespace

Result<InferMessage> FromProto(inference::ModelInferRequest& request) {
  InferMessage message{.model_name = request.model_name(),
                       .model_version = request.model_version(),
                       .id = request.id(),
                       .parameters = ParametersOf(request.parameters())};
  int raw_count = request.raw_input_contents_size();
  if (raw_count != 0 && raw_count != request.inputs_size()) {
    return Fail(Code::kInvalid, fmt::format("raw_input_contents: expected {}, one an input, got {}",
                                            request.inputs_size(), raw_count));
  }
  for (int i = 0; i < request.inputs_size(); ++i) {
    const auto& input = request.inputs(i);
    InferTensor tensor{.name = input.name(),
                       .datatype = input.datatype(),
                       .shape = {input.shape().begin(), input.shape().end()},
                       .parameters = ParametersOf(input.parameters())};
    if (raw_count != 0 && input.has_contents()) {
      return Fail(Code::kInvalid,
                  fmt::format("{}: contents and raw_input_contents are both given", tensor.name));
    }
    if (raw_count != 0) {
      tensor.raw = std::move(*request.mutable_raw_input_contents(i));
    } else {
      auto raw = RawOf(tensor.datatype, input.contents());
      if (!raw) return Fail(raw.error().code, tensor.name + ": " + raw.error().message);
      tensor.raw = *std::move(raw);
    }
    message.inputs.push_back(std::move(tensor));
  }
  for (const auto& output : request.outputs()) {
    message.outputs.push_back(
        {.name = output.name(), .parameters = ParametersOf(output.parameters())});
  }
  return message;
}

void ToProto(InferMessage answer, inference::ModelInferResponse& response) {
  response.set_model_name(answer.model_name);
  response.set_model_version(answer.model_version);
  response.set_id(answer.id);
  SetParameters(answer.parameters, *response.mutable_parameters());
  for (auto& output : answer.outputs) {
    auto& tensor = *response.add_outputs();
    tensor.set_name(output.name);
    tensor.set_datatype(output.datatype);
    for (auto dimension : output.shape) tensor.add_shape(dimension);
    SetParameters(output.parameters, *tensor.mutable_parameters());
    response.add_raw_output_contents(std::move(output.raw));
  }
}

void ToProto(const json::object& metadata, inference::ModelMetadataResponse& response) {
  response.set_name(TextAt(metadata, "name"));
  response.set_platform(TextAt(metadata, "platform"));
  if (const auto* versions = metadata.if_contains("versions"); versions && versions->is_array()) {
    for (const auto& version : versions->get_array()) {
      if (version.is_string()) response.add_versions(std::string(version.get_string()));
    }
  }
  auto fill = [](const json::object& from,
                 inference::ModelMetadataResponse::TensorMetadata& tensor) {
    tensor.set_name(TextAt(from, "name"));
    tensor.set_datatype(TextAt(from, "datatype"));
    SetNumbers(from, "shape", [&](std::int64_t dimension) { tensor.add_shape(dimension); });
  };
  ForEach(metadata, "inputs",
          [&](const json::object& from) { fill(from, *response.add_inputs()); });
  ForEach(metadata, "outputs",
          [&](const json::object& from) { fill(from, *response.add_outputs()); });
}

void ToProto(const json::object& config, inference::ModelConfig& response) {
  response.set_name(TextAt(config, "name"));
  response.set_platform(TextAt(config, "platform"));
  auto fill = [](const json::object& from, auto& tensor) {
    tensor.set_name(TextAt(from, "name"));
    tensor.set_data_type(DataTypeOf(from));
    SetNumbers(from, "dims", [&](std::int64_t dimension) { tensor.add_dims(dimension); });
  };
  ForEach(config, "input", [&](const json::object& from) { fill(from, *response.add_input()); });
  ForEach(config, "output", [&](const json::object& from) { fill(from, *response.add_output()); });
}

void ToProto(const json::array& index, inference::RepositoryIndexResponse& response) {
  for (const auto& value : index) {
    const auto& from = value.as_object();
    auto& model = *response.add_models();
    model.set_name(TextAt(from, "name"));
    model.set_version(TextAt(from, "version"));
    model.set_state(TextAt(from, "state"));
    model.set_reason(TextAt(from, "reason"));
  }
}

}  // namespace samovar
