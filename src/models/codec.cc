#include "models/codec.h"

#include <fmt/format.h>
#include <simdjson.h>

#include <algorithm>
#include <charconv>
#include <optional>

#include "base/encoding.h"
#include "models/csv_codec.h"
#include "models/event_codec.h"
#include "models/inference_codec.h"
#include "models/json_input.h"
#include "models/json_text.h"
#include "models/large_numbers.h"
#include "models/npy_codec.h"

namespace samovar {

struct ModelCodec::Parser {
  simdjson::dom::parser json;
};

namespace {

constexpr std::string_view kMetadataType = "application/vnd.samovar.model-metadata+json";
constexpr std::string_view kHeaderLength = "inference-header-content-length";

std::string Lower(std::string_view text) {
  std::string out(text);
  std::ranges::transform(out, out.begin(), [](unsigned char c) { return std::tolower(c); });
  return out;
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// "Text/CSV; header=present" as its type and one of its parameters.
std::string MediaType(std::string_view text) {
  return Lower(Trimmed(text.substr(0, text.find(';'))));
}

std::string Parameter(std::string_view text, std::string_view name) {
  while (true) {
    const std::size_t semicolon = text.find(';');
    if (semicolon == std::string_view::npos) return "";
    text.remove_prefix(semicolon + 1);
    const std::string_view part = text.substr(0, text.find(';'));
    const std::size_t equals = part.find('=');
    if (equals != std::string_view::npos && Lower(Trimmed(part.substr(0, equals))) == name) {
      return std::string(Trimmed(part.substr(equals + 1)));
    }
  }
}

bool IsJson(std::string_view type) { return type.empty() || type == "application/json"; }

// The first known type of an Accept header; nullopt: as the request.
Result<std::optional<PayloadForm>> AnswerForm(std::string_view accept, PayloadForm request) {
  if (Trimmed(accept).empty()) return std::nullopt;
  for (std::string_view rest = accept; !rest.empty();) {
    const std::size_t comma = std::min(rest.find(','), rest.size());
    const std::string type = MediaType(rest.substr(0, comma));
    rest.remove_prefix(std::min(comma + 1, rest.size()));
    if (type == "*/*" || type == "application/*") return std::nullopt;
    if (type == "application/json") {
      const bool table = request == PayloadForm::kCsv || request == PayloadForm::kNpy;
      return table ? PayloadForm::kInstances : request;
    }
    if (type == "text/csv") return PayloadForm::kCsv;
    if (type == "application/x-npy") return PayloadForm::kNpy;
    if (type == "application/octet-stream" && request == PayloadForm::kInference) return request;
  }
  return Fail(Code::kUnsupported,
              fmt::format("none of the accepted types \"{}\" can be answered: there are "
                          "application/json, text/csv and application/x-npy",
                          accept),
              "Model.UnsupportedMediaType");
}

}  // namespace

ModelCodec::ModelCodec(const ModelSignature& signature)
    : signature_(signature), parser_(std::make_unique<Parser>()) {}
ModelCodec::~ModelCodec() = default;

Result<ModelCall> ModelCodec::Decode(std::string_view content_type, std::string_view accept,
                                     std::string_view payload) {
  const std::string type = MediaType(content_type);
  if (type == kMetadataType) return ModelCall{PayloadForm::kMetadata, {}, {}};
  auto decode = [&]() -> Result<ModelCall> {
    if (IsJson(type) || type == "application/octet-stream") {
      std::string_view tail;
      const std::string length = Parameter(content_type, kHeaderLength);
      if (type == "application/octet-stream" || !length.empty()) {
        std::size_t size = 0;
        const auto [end, error] =
            std::from_chars(length.data(), length.data() + length.size(), size);
        if (error != std::errc() || end != length.data() + length.size() || size > payload.size()) {
          return InvalidInput(fmt::format("{} is \"{}\", and the body has {} bytes", kHeaderLength,
                                          length, payload.size()));
        }
        tail = payload.substr(size);
        payload = payload.substr(0, size);
      }
      return DecodeJson(payload, tail);
    }
    if (type == "text/csv") {
      return DecodeCsv(signature_, payload, Lower(Parameter(content_type, "header")) == "present");
    }
    if (type == "application/x-npy") return DecodeNpy(signature_, payload);
    return Fail(Code::kUnsupported,
                fmt::format("the content type \"{}\" is not known: there are application/json, "
                            "application/octet-stream with {}, text/csv and application/x-npy",
                            content_type, kHeaderLength),
                "Model.UnsupportedMediaType");
  };
  TRY(ModelCall call, decode());
  TRY(const auto form, AnswerForm(accept, call.answer));
  if (form) call.answer = *form;
  TRY(ApplyDefaults(signature_, call.inputs));
  return call;
}

Result<ModelCall> ModelCodec::DecodeJson(std::string_view payload, std::string_view tail) {
  simdjson::dom::element json;
  const auto error = parser_->json.parse(payload.data(), payload.size()).get(json);
  if (error == simdjson::NUMBER_ERROR) {
    const std::string exact = LargeNumbersAsFractions(payload);
    if (exact != payload) return DecodeJson(exact, tail);
  }
  if (error != simdjson::SUCCESS) {
    return InvalidInput(fmt::format("the body is no JSON: {}", simdjson::error_message(error)));
  }
  simdjson::dom::object event;
  if (json.get(event) != simdjson::SUCCESS) {
    return InvalidInput("the event must be an object with \"instances\" or \"inputs\"");
  }
  simdjson::dom::element inputs;
  if (event["requestContext"]["http"].error() == simdjson::SUCCESS) {
    std::string_view body;
    bool base64 = false;
    if (event["body"].get(body) != simdjson::SUCCESS) body = {};
    if (event["isBase64Encoded"].get(base64) != simdjson::SUCCESS) base64 = false;
    return DecodeHttpEvent(std::string(body), base64);  // a copy: the parser is used again
  }
  const bool named = event["inputs"].get(inputs) == simdjson::SUCCESS;
  if (event["instances"].error() == simdjson::SUCCESS) {
    if (!named) return DecodeInstances(signature_, event);
    return InvalidInput("the event has both \"instances\" and \"inputs\"; give one of them");
  }
  if (!named) return InvalidInput("the event has neither \"instances\" nor \"inputs\"");
  if (inputs.is_array()) return DecodeInference(signature_, event, tail);
  return DecodeNamedInputs(signature_, event);
}

// A function URL's event carries the request's body, and a refusal must be its caller's to read.
Result<ModelCall> ModelCodec::DecodeHttpEvent(std::string_view body, bool base64) {
  const auto plain = base64 ? Base64Decode(body) : std::optional<std::string>(body);
  auto call = plain ? DecodeJson(*plain, {}) : InvalidInput("the body is no base64");
  if (call) return call;
  std::string error = "{\"error\":";
  AppendJsonString(call.error().message, error);
  return ModelCall{.answer = PayloadForm::kRefusal, .inputs = {}, .outputs = {}, .id = error + '}'};
}

Result<ModelAnswer> ModelCodec::Encode(const ModelCall& call,
                                       const std::vector<Value>& outputs) const {
  switch (call.answer) {
    case PayloadForm::kMetadata:
      return ModelAnswer{EncodeMetadata(signature_), ""};
    case PayloadForm::kRefusal: {
      std::string answer = R"({"statusCode":400,"headers":{"Content-Type":"application/json"},)";
      answer += "\"body\":";
      AppendJsonString(call.id, answer);
      return ModelAnswer{answer + '}', ""};
    }
    case PayloadForm::kInference:
      return EncodeInference(signature_, call, outputs);
    case PayloadForm::kInstances:
      return ModelAnswer{EncodePredictions(signature_, call, outputs), ""};
    case PayloadForm::kEvent:
      return ModelAnswer{EncodeOutputs(signature_, call, outputs), ""};
    case PayloadForm::kCsv: {
      TRY(std::string text, EncodeCsv(signature_, call, outputs));
      return ModelAnswer{std::move(text), "text/csv"};
    }
    case PayloadForm::kNpy: {
      TRY(std::string bytes, EncodeNpy(signature_, call, outputs));
      return ModelAnswer{std::move(bytes), "application/x-npy"};
    }
  }
  return Fail(Code::kInternal, "no such form");
}

Result<Value> ModelCodec::DecodeDefault(const ValueInfo& info, std::string_view text) {
  simdjson::dom::element json;
  if (parser_->json.parse(text.data(), text.size()).get(json) != simdjson::SUCCESS) {
    return WrongInput(info, "a default that is no value");
  }
  ValueInfo row = info;
  if (info.Batches()) row.shape = Shape(info.shape->begin() + 1, info.shape->end());
  return ValueFromJson(row, json);
}

}  // namespace samovar
