#include "wire/infer_message.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstring>

#include "wire/open_inference.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kBinarySize = "binary_data_size";

json::array ShapeOf(const std::vector<std::int64_t>& shape) {
  return json::array(shape.begin(), shape.end());
}

// What both forms of a request begin with.
json::object Head(const InferMessage& request) {
  json::object head;
  if (!request.id.empty()) head["id"] = request.id;
  if (!request.parameters.empty()) head["parameters"] = request.parameters;
  return head;
}

void AddOutputs(const InferMessage& request, bool binary, json::object& head) {
  if (request.outputs.empty()) {
    if (binary) {
      if (!head.contains("parameters")) head["parameters"] = json::object();
      head["parameters"].get_object()["binary_data_output"] = true;
    }
    return;
  }
  json::array outputs;
  for (const InferTensor& output : request.outputs) {
    json::object parameters = output.parameters;
    if (binary) parameters["binary_data"] = true;
    json::object entry{{"name", output.name}};
    if (!parameters.empty()) entry["parameters"] = std::move(parameters);
    outputs.push_back(std::move(entry));
  }
  head["outputs"] = std::move(outputs);
}

std::string TextAt(const json::object& from, std::string_view key) {
  auto* value = from.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

json::object ObjectAt(const json::object& from, std::string_view key) {
  auto* value = from.if_contains(key);
  return value && value->is_object() ? value->get_object() : json::object();
}

std::unexpected<Error> In(const InferTensor& tensor, const Error& error) {
  return Fail(error.code, fmt::format("{}: {}", tensor.name, error.message));
}

// Takes one tensor's binary part off `rest`, or reads its JSON data.
Result<InferTensor> ReadTensor(const json::value& from, std::string_view& rest) {
  if (!from.is_object()) return Fail(Code::kInvalid, "a tensor must be an object");
  const json::object& entry = from.get_object();
  InferTensor tensor{.name = TextAt(entry, "name"),
                     .datatype = TextAt(entry, "datatype"),
                     .shape = {},
                     .parameters = ObjectAt(entry, "parameters"),
                     .raw = {}};
  if (auto* shape = entry.if_contains("shape"); shape && shape->is_array()) {
    for (auto& dimension : shape->get_array()) {
      boost::system::error_code error;
      tensor.shape.push_back(dimension.to_number<std::int64_t>(error));
      if (error) return Fail(Code::kInvalid, tensor.name + ": shape must hold whole numbers");
    }
  }
  if (auto* size = tensor.parameters.if_contains(kBinarySize)) {
    if (entry.contains("data")) {
      return Fail(Code::kInvalid, fmt::format("{}: both data and {} are given; give one of them",
                                              tensor.name, kBinarySize));
    }
    boost::system::error_code error;
    auto bytes = size->to_number<std::size_t>(error);
    if (error || bytes > rest.size()) {
      return Fail(Code::kInvalid,
                  fmt::format("{}: {} says {}, and {} bytes are left of the body", tensor.name,
                              kBinarySize, json::serialize(*size), rest.size()));
    }
    tensor.raw = rest.substr(0, bytes);
    rest.remove_prefix(bytes);
    tensor.parameters.erase(kBinarySize);
  } else if (auto* data = entry.if_contains("data")) {
    auto raw = TensorBytes(tensor.datatype, *data);
    if (!raw) return In(tensor, raw.error());
    tensor.raw = *std::move(raw);
  }
  return tensor;
}

Result<std::vector<InferTensor>> ReadTensors(const json::object& head, std::string_view key,
                                             std::string_view& rest) {
  std::vector<InferTensor> tensors;
  auto* list = head.if_contains(key);
  if (!list) return tensors;
  if (!list->is_array()) return Fail(Code::kInvalid, fmt::format("{} must be a list", key));
  for (auto& entry : list->get_array()) {
    TRY(auto tensor, ReadTensor(entry, rest));
    tensors.push_back(std::move(tensor));
  }
  return tensors;
}

// An object to which more comes.
void AddOpen(const json::object& entry, std::string& text) {
  text += json::serialize(entry);
  text.back() = ',';
}

// How much of a tensor is made JSON at a time: its values take many times as much as its bytes.
// What is torn is whole, so that its error is.
std::size_t PieceOf(std::string_view datatype, std::string_view raw) {
  constexpr std::size_t kPiece = 16 << 10;  // a whole number of elements of any type
  if (datatype != "BYTES") return std::min(raw.size(), kPiece);
  std::size_t end = 0;
  while (end < raw.size() && end < kPiece) {
    std::uint32_t size = 0;
    if (raw.size() - end < sizeof size) return raw.size();
    std::memcpy(&size, raw.data() + end, sizeof size);
    end += sizeof size + size;
  }
  return std::min(raw.size(), end);
}

Result<void> AddValues(const InferTensor& tensor, Bytes most, std::string& text) {
  for (std::string_view rest = tensor.raw; !rest.empty();) {
    const std::size_t piece = PieceOf(tensor.datatype, rest);
    auto values = TensorValues(tensor.datatype, rest.substr(0, piece));
    if (!values) return In(tensor, TensorValues(tensor.datatype, tensor.raw).error());
    const std::string list = json::serialize(*values);
    if (rest.size() < tensor.raw.size()) text += ',';
    text += std::string_view(list).substr(1, list.size() - 2);
    rest.remove_prefix(piece);
    if (text.size() > most.count) {
      return Fail(Code::kTooLarge,
                  fmt::format("{}: a function that is no model gets tensors as JSON, of which this "
                              "request has more than {} MiB",
                              tensor.name, most.WholeMiB()));
    }
  }
  return {};
}

}  // namespace

InferBody EncodeBinaryRequest(const InferMessage& request) {
  json::object head = Head(request);
  json::array inputs;
  std::string raw;
  for (const InferTensor& input : request.inputs) {
    json::object parameters = input.parameters;
    parameters[kBinarySize] = input.raw.size();
    inputs.push_back(json::object{{"name", input.name},
                                  {"shape", ShapeOf(input.shape)},
                                  {"datatype", input.datatype},
                                  {"parameters", std::move(parameters)}});
    raw += input.raw;
  }
  head["inputs"] = std::move(inputs);
  AddOutputs(request, true, head);
  std::string text = json::serialize(head);
  return {BinaryTensorType(text.size()), text + raw};
}

Result<InferBody> EncodeJsonRequest(const InferMessage& request, Bytes most) {
  std::string text = R"({"inputs":[)";
  for (const InferTensor& input : request.inputs) {
    if (&input != &request.inputs.front()) text += ',';
    const json::object entry{
        {"name", input.name}, {"shape", ShapeOf(input.shape)}, {"datatype", input.datatype}};
    AddOpen(entry, text);
    text += R"("data":[)";
    TRY(AddValues(input, most, text));
    text += ']';
    if (!input.parameters.empty()) {
      (text += R"(,"parameters":)") += json::serialize(input.parameters);
    }
    text += '}';
  }
  text += ']';
  json::object rest = Head(request);
  AddOutputs(request, false, rest);
  text += rest.empty() ? "}" : "," + json::serialize(rest).substr(1);
  return InferBody{"application/json", std::move(text)};
}

Result<InferMessage> DecodeInferBody(std::string_view content_type, std::string_view body) {
  std::size_t header = BinaryHeaderLength(content_type).value_or(body.size());
  if (header > body.size()) {
    return Fail(Code::kInvalid, "the JSON header is said to be longer than the body");
  }
  boost::system::error_code error;
  auto text = body.substr(0, header);
  json::value parsed = json::parse(json::string_view(text.data(), text.size()), error);
  if (error || !parsed.is_object()) {
    return Fail(Code::kInvalid, "the body is not a JSON object of the inference protocol v2");
  }
  const json::object& head = parsed.get_object();
  InferMessage message{.model_name = TextAt(head, "model_name"),
                       .model_version = TextAt(head, "model_version"),
                       .id = TextAt(head, "id"),
                       .parameters = ObjectAt(head, "parameters"),
                       .inputs = {},
                       .outputs = {}};
  std::string_view rest = body.substr(header);
  TRY(message.inputs, ReadTensors(head, "inputs", rest));
  TRY(message.outputs, ReadTensors(head, "outputs", rest));
  if (!rest.empty()) {
    return Fail(Code::kInvalid, fmt::format("{} bytes follow the last binary tensor", rest.size()));
  }
  return message;
}

}  // namespace samovar
