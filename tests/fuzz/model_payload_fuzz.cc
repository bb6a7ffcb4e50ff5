// A payload for a model, of any content type: what is read has the sizes that its shape says, and
// what is written of it is read again as the same.

#include <algorithm>

#include "input.h"
#include "models/codec.h"

using namespace samovar;

namespace {

ValueInfo Info(const char* name, ElementType type, Shape shape) {
  ValueInfo info;
  info.name = name;
  info.type = type;
  info.shape = std::move(shape);
  return info;
}

ModelSignature Echoing(std::vector<ValueInfo> inputs) { return {"m", "1", inputs, inputs, {}}; }

ValueInfo Sequence() {
  ValueInfo info = Info("s", ElementType::kFloat, {});
  info.kind = Value::Kind::kSequence;
  info.element.push_back(Info("", ElementType::kFloat, {-1}));
  return info;
}

const ModelSignature kModels[] = {
    Echoing({Info("x", ElementType::kFloat, {-1, 2})}),
    Echoing({Info("x", ElementType::kInt64, {-1})}),
    Echoing({Info("x", ElementType::kString, {-1, -1})}),
    Echoing({Info("x", ElementType::kDouble, {-1, 1}), Info("n", ElementType::kUint8, {-1, 2})}),
    Echoing({Info("x", ElementType::kComplex64, {-1})}),
    Echoing({Info("x", ElementType::kInt4, {-1, 2})}),
    Echoing({Info("x", ElementType::kBool, {2, 2}), Info("h", ElementType::kFloat16, {})}),
    Echoing({Sequence()}),
};

void CheckSizes(const Value& value) {
  for (const Value& item : value.items) CheckSizes(item);
  if (value.kind != Value::Kind::kTensor) return;
  const auto count = ElementCount(value.tensor.shape);
  CHECK(count.has_value());
  if (value.tensor.IsText()) {
    CHECK(value.tensor.strings.size() == *count);
  } else {
    CHECK(value.tensor.bytes.size() == BytesFor(value.tensor.type, *count));
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const ModelSignature& signature = kModels[input.Number(0, std::size(kModels) - 1)];
  const std::string type(input.Line());
  const std::string_view accept = input.Line();
  ModelCodec codec(signature);
  auto call = codec.Decode(type, accept, input.Rest());
  if (!call) {
    CHECK(!call.error().message.empty());
    return 0;
  }
  for (const Value& value : call->inputs) CheckSizes(value);
  for (std::size_t output : call->outputs) CHECK(output < signature.outputs.size());
  if (call->inputs.size() != signature.inputs.size()) return 0;  // no run
  std::vector<Value> outputs;
  for (std::size_t output : call->outputs) outputs.push_back(call->inputs[output]);
  auto answer = codec.Encode(*call, outputs);
  // One array of one input: an echo that is a request.
  if (!answer || signature.inputs.size() != 1 || call->answer != PayloadForm::kNpy) return 0;
  auto again = codec.Decode(answer->content_type, "", answer->payload);
  if (again && again->inputs[0].tensor.type == outputs[0].tensor.type) {
    CHECK(again->inputs[0].tensor.bytes == outputs[0].tensor.bytes);
  }
  return 0;
}
