#include "models/inference_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <optional>

#include "models/flat_output.h"
#include "models/json_input.h"
#include "models/json_text.h"

namespace samovar {
namespace {

static_assert(std::endian::native == std::endian::little, "binary tensors are little-endian");

using simdjson::dom::array;
using simdjson::dom::element;
using simdjson::dom::object;

std::string_view TextOf(object json, std::string_view key) {
  std::string_view text;
  return json[key].get(text) == simdjson::SUCCESS ? text : std::string_view();
}

bool FlagOf(object json, std::string_view key, bool otherwise) {
  bool flag = false;
  return json["parameters"][key].get(flag) == simdjson::SUCCESS ? flag : otherwise;
}

Result<Shape> ReadShape(const ValueInfo& info, object json) {
  array list;
  if (json["shape"].get(list) != simdjson::SUCCESS) return WrongInput(info, "no \"shape\"");
  Shape shape;
  for (element dimension : list) {
    std::int64_t value = -1;
    if (dimension.get(value) != simdjson::SUCCESS || value < 0) {
      return WrongInput(info, "a \"shape\" that is no list of sizes");
    }
    shape.push_back(value);
  }
  if (!ElementCount(shape)) return WrongInput(info, "the impossible shape " + ShapeText(shape));
  return shape;
}

Result<void> FillBinary(const ValueInfo& info, std::string_view bytes, Tensor& tensor) {
  if (!tensor.IsText()) {
    const std::size_t expected = BytesFor(tensor.type, tensor.Count());
    if (bytes.size() != expected) {
      return WrongInput(info, fmt::format("{} bytes for {}, which has {}", bytes.size(),
                                          Describe(tensor), expected));
    }
    tensor = Tensor::Of(tensor.type, tensor.shape);
    std::memcpy(tensor.bytes.data(), bytes.data(), bytes.size());
    return {};
  }
  // Each string has its length before it, so that many bytes are there at least.
  if (tensor.Count() > bytes.size() / 4) return WrongInput(info, "too few strings");
  tensor = Tensor::Of(tensor.type, tensor.shape);
  for (std::string& text : tensor.strings) {
    std::uint32_t size = 0;
    if (bytes.size() < 4) return WrongInput(info, "too few strings");
    std::memcpy(&size, bytes.data(), 4);
    bytes.remove_prefix(4);
    if (size > bytes.size()) return WrongInput(info, "a string that is cut off");
    text = bytes.substr(0, size);
    bytes.remove_prefix(size);
  }
  if (!bytes.empty()) return WrongInput(info, "more strings than its shape says");
  return {};
}

// How many values JSON holds, lists of lists counted through; bounds what a shape may make us hold.
std::size_t CountValues(element json) {
  array list;
  if (json.get(list) != simdjson::SUCCESS) return 1;
  std::size_t count = 0;
  for (element item : list) count += CountValues(item);
  return count;
}

Result<void> FillJson(const ValueInfo& info, object json, Tensor& tensor) {
  element data;
  if (json["data"].get(data) != simdjson::SUCCESS) return WrongInput(info, "no \"data\"");
  const std::size_t has = CountValues(data) / (IsComplex(info.type) ? 2 : 1);
  if (has != tensor.Count()) {
    return WrongInput(info, fmt::format("{} values for {}", has, Describe(tensor)));
  }
  tensor = Tensor::Of(tensor.type, tensor.shape);
  return FillFlat(info, data, tensor);
}

Result<void> ReadInput(const ModelSignature& signature, element json, std::string_view& tail,
                       ModelCall& call) {
  object input;
  if (json.get(input) != simdjson::SUCCESS) return InvalidInput("an input is no object");
  TRY(const std::size_t index, signature.InputNamed(TextOf(input, "name")));
  const ValueInfo& info = signature.inputs[index];
  if (info.kind != Value::Kind::kTensor) {
    return WrongInput(info, "a tensor; this protocol cannot carry it, the JSON event can");
  }
  if (call.inputs[index].kind != Value::Kind::kNone) return WrongInput(info, "it twice");
  const std::string_view datatype = TextOf(input, "datatype");
  TRY(Shape shape, ReadShape(info, input));
  if (DatatypeOf(datatype) != info.type) {
    return WrongInput(info, fmt::format("the datatype \"{}\"", datatype));
  }
  Tensor tensor{info.type, std::move(shape), {}, {}};
  TRY(Conform(info, tensor, false));
  if (input["parameters"]["shared_memory_region"].error() == simdjson::SUCCESS) {
    return WrongInput(info, "a shared memory region, which is not supported");
  }
  std::uint64_t size = 0;
  if (element given; input["parameters"]["binary_data_size"].get(given) == simdjson::SUCCESS) {
    if (input["data"].error() == simdjson::SUCCESS) {
      return WrongInput(info, "both \"data\" and \"binary_data_size\"; give one of them");
    }
    if (given.get(size) != simdjson::SUCCESS) {
      return WrongInput(info, "a \"binary_data_size\" that is no size");
    }
    if (size > tail.size()) {
      return WrongInput(
          info, fmt::format("binary_data_size {} where {} bytes are left", size, tail.size()));
    }
    TRY(FillBinary(info, tail.substr(0, size), tensor));
    tail.remove_prefix(size);
  } else {
    TRY(FillJson(info, input, tensor));
  }
  call.inputs[index] = Value::Of(std::move(tensor));
  return {};
}

Result<void> ReadOutputs(const ModelSignature& signature, object body, ModelCall& call) {
  const bool binary = FlagOf(body, "binary_data_output", false);
  array outputs;
  if (body["outputs"].get(outputs) != simdjson::SUCCESS || outputs.begin() == outputs.end()) {
    call.outputs = signature.AllOutputs();
    call.binary_outputs.assign(call.outputs.size(), binary);
    return {};
  }
  for (element json : outputs) {
    object output;
    if (json.get(output) != simdjson::SUCCESS) return InvalidInput("an output is no object");
    TRY(const std::size_t index, signature.OutputNamed(TextOf(output, "name")));
    std::uint64_t classes = 0;
    if (output["parameters"]["classification"].get(classes) == simdjson::SUCCESS && classes > 0) {
      return InvalidInput(
          fmt::format("output \"{}\": the classification extension is not supported",
                      signature.outputs[index].name));
    }
    call.outputs.push_back(index);
    call.binary_outputs.push_back(FlagOf(output, "binary_data", binary));
  }
  return {};
}

void AppendShape(const Shape& shape, std::string& out) { out += ShapeText(shape); }

void AppendBinary(const Tensor& tensor, std::string& out) {
  if (!tensor.IsText()) {
    out.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    return;
  }
  for (const std::string& text : tensor.strings) {
    const auto size = static_cast<std::uint32_t>(text.size());
    out.append(reinterpret_cast<const char*>(&size), 4);
    out += text;
  }
}

void AppendOutput(const ValueInfo& info, const FlatOutput& flat, bool binary, std::string& out,
                  std::string& tail) {
  out += "{\"name\":";
  AppendJsonString(info.name, out);
  out += fmt::format(",\"datatype\":\"{}\",\"shape\":", DatatypeName(flat.tensor.type));
  AppendShape(flat.tensor.shape, out);
  const std::size_t before = tail.size();
  if (binary) AppendBinary(flat.tensor, tail);
  if (binary || flat.keys.kind != Value::Kind::kNone) {
    out += ",\"parameters\":{";
    if (binary) out += fmt::format("\"binary_data_size\":{}", tail.size() - before);
    if (binary && flat.keys.kind != Value::Kind::kNone) out += ',';
    if (flat.keys.kind != Value::Kind::kNone) {
      out += "\"keys\":";
      // A parameter is a scalar in this protocol: the list as text.
      std::string keys;
      AppendValue(flat.keys, keys);
      AppendJsonString(keys, out);
    }
    out += '}';
  }
  if (!binary) {
    out += ",\"data\":";
    AppendFlatTensor(flat.tensor, out);
  }
  out += '}';
}

void AppendInfo(const ValueInfo& info, std::string& out) {
  out += "{\"name\":";
  AppendJsonString(info.name, out);
  out += fmt::format(",\"datatype\":\"{}\",\"shape\":", DatatypeName(info.type));
  Shape shape = info.shape.value_or(Shape{-1});
  if (info.kind == Value::Kind::kSequence) {
    // As FlatOutput makes them: one more dimension, or rows of a map's values.
    const ValueInfo& inner = info.element.front();
    shape = inner.shape.value_or(Shape{-1});
    if (inner.kind != Value::Kind::kTensor) shape = {-1};
    shape.insert(shape.begin(), -1);
  }
  AppendShape(shape, out);
  out += '}';
}

void AppendInfos(const std::vector<ValueInfo>& infos, std::string& out) {
  out += '[';
  for (std::size_t i = 0; i < infos.size(); ++i) {
    if (i > 0) out += ',';
    AppendInfo(infos[i], out);
  }
  out += ']';
}

}  // namespace

Result<ModelCall> DecodeInference(const ModelSignature& signature, object body,
                                  std::string_view tail) {
  ModelCall call{.answer = PayloadForm::kInference, .inputs = {}, .outputs = {}};
  call.inputs.resize(signature.inputs.size());
  call.id = TextOf(body, "id");
  array inputs;
  if (body["inputs"].get(inputs) != simdjson::SUCCESS) {
    return InvalidInput("\"inputs\" must be a list");
  }
  for (element input : inputs) TRY(ReadInput(signature, input, tail, call));
  if (!tail.empty()) {
    return InvalidInput(fmt::format("{} bytes follow the last binary input", tail.size()));
  }
  TRY(ReadOutputs(signature, body, call));
  return call;
}

Result<ModelAnswer> EncodeInference(const ModelSignature& signature, const ModelCall& call,
                                    const std::vector<Value>& outputs) {
  std::string json = "{\"model_name\":";
  AppendJsonString(signature.name, json);
  json += ",\"model_version\":";
  AppendJsonString(signature.version, json);
  if (!call.id.empty()) {
    json += ",\"id\":";
    AppendJsonString(call.id, json);
  }
  json += ",\"outputs\":[";
  std::string tail;
  bool any_binary = false;
  bool first = true;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    if (outputs[i].kind == Value::Kind::kNone) continue;  // an optional that is empty
    const ValueInfo& info = signature.outputs[call.outputs[i]];
    TRY(const FlatOutput flat, Flatten(info, outputs[i]));
    if (!std::exchange(first, false)) json += ',';
    AppendOutput(info, flat, call.binary_outputs[i], json, tail);
    any_binary = any_binary || call.binary_outputs[i];
  }
  json += "]}";
  if (!any_binary) return ModelAnswer{std::move(json), ""};
  std::string type =
      fmt::format("application/octet-stream; inference-header-content-length={}", json.size());
  return ModelAnswer{json + tail, std::move(type)};
}

std::string EncodeMetadata(const ModelSignature& signature) {
  std::string out = "{\"name\":";
  AppendJsonString(signature.name, out);
  out += ",\"versions\":[";
  AppendJsonString(signature.version, out);
  out += "],\"platform\":\"onnxruntime_onnx\",\"inputs\":";
  AppendInfos(signature.inputs, out);
  out += ",\"outputs\":";
  AppendInfos(signature.outputs, out);
  out += '}';
  return out;
}

}  // namespace samovar
