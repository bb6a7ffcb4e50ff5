#include "models/ort_values.h"

#include <fmt/format.h>

#include <cstring>
#include <utility>

namespace samovar {
namespace {

Result<OrtOwned<OrtValue>> TextToOrt(const Tensor& tensor) {
  TRY(auto made, Made<OrtValue>([&](OrtValue** out) {
        return Ort().CreateTensorAsOrtValue(DefaultAllocator(), tensor.shape.data(),
                                            tensor.shape.size(),
                                            ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING, out);
      }));
  for (std::size_t i = 0; i < tensor.strings.size(); ++i) {
    const std::string& text = tensor.strings[i];  // may hold NUL
    char* to = nullptr;
    TRY(Checked(Ort().GetResizedStringTensorElementBuffer(made.get(), i, text.size(), &to)));
    std::memcpy(to, text.data(), text.size());
  }
  return made;
}

Result<OrtOwned<OrtValue>> TensorToOrt(Tensor& tensor, const OrtMemoryInfo* memory) {
  if (tensor.IsText()) return TextToOrt(tensor);
  static std::byte nothing;  // an empty tensor has an address, too
  void* data = tensor.bytes.empty() ? &nothing : tensor.bytes.data();
  return Made<OrtValue>([&](OrtValue** out) {
    return Ort().CreateTensorWithDataAsOrtValue(
        memory, data, tensor.bytes.size(), tensor.shape.data(), tensor.shape.size(),
        static_cast<ONNXTensorElementDataType>(tensor.type), out);
  });
}

Result<Value> TextFromOrt(const OrtValue* value, Shape shape) {
  Tensor tensor = Tensor::Of(ElementType::kString, std::move(shape));
  for (std::size_t i = 0; i < tensor.strings.size(); ++i) {
    std::size_t size = 0;
    TRY(Checked(Ort().GetStringTensorElementLength(value, i, &size)));
    tensor.strings[i].resize(size);
    TRY(Checked(Ort().GetStringTensorElement(value, size, i, tensor.strings[i].data())));
  }
  return Value::Of(std::move(tensor));
}

Result<Shape> ShapeOf(const OrtTensorTypeAndShapeInfo* info) {
  std::size_t rank = 0;
  TRY(Checked(Ort().GetDimensionsCount(info, &rank)));
  Shape shape(rank);
  TRY(Checked(Ort().GetDimensions(info, shape.data(), rank)));
  return shape;
}

Result<Value> TensorFromOrt(const OrtValue* value) {
  TRY(auto info, Made<OrtTensorTypeAndShapeInfo>(
                     [&](auto** out) { return Ort().GetTensorTypeAndShape(value, out); }));
  TRY(Shape shape, ShapeOf(info.get()));
  ONNXTensorElementDataType type{};
  TRY(Checked(Ort().GetTensorElementType(info.get(), &type)));
  if (type == ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING) return TextFromOrt(value, std::move(shape));
  const void* data = nullptr;
  TRY(Checked(Ort().GetTensorData(value, &data)));
  Tensor tensor{static_cast<ElementType>(type), std::move(shape), {}, {}};
  const auto* begin = static_cast<const std::byte*>(data);
  const std::size_t size = BytesFor(tensor.type, tensor.Count());
  if (size > 0) tensor.bytes.assign(begin, begin + size);
  return Value::Of(std::move(tensor));
}

Result<Value> ItemsFromOrt(const OrtValue* value, Value::Kind kind) {
  std::size_t count = 2;  // of a map: keys and values
  if (kind == Value::Kind::kSequence) TRY(Checked(Ort().GetValueCount(value, &count)));
  Value out{kind, {}, {}};
  out.items.reserve(count);
  for (std::size_t i = 0; i < count; ++i) {
    TRY(auto item, Made<OrtValue>([&](OrtValue** made) {
          return Ort().GetValue(value, static_cast<int>(i), DefaultAllocator(), made);
        }));
    TRY(out.items.emplace_back(), FromOrt(item.get()));
  }
  return out;
}

Result<ValueInfo> DescribeTensor(const OrtTensorTypeAndShapeInfo* tensor) {
  ValueInfo out;
  ONNXTensorElementDataType type{};
  TRY(Checked(Ort().GetTensorElementType(tensor, &type)));
  out.type = static_cast<ElementType>(type);
  if (DatatypeName(out.type).empty()) {
    return Fail(Code::kUnsupported,
                fmt::format("elements of ONNX Runtime's type {} are not supported",
                            static_cast<int>(type)));
  }
  if (Ort().TensorTypeAndShape_HasShape(tensor)) {
    TRY(out.shape, ShapeOf(tensor));
  }
  return out;
}

Result<ValueInfo> DescribeSequence(const OrtTypeInfo* info) {
  const OrtSequenceTypeInfo* sequence = nullptr;
  TRY(Checked(Ort().CastTypeInfoToSequenceTypeInfo(info, &sequence)));
  TRY(auto element, Made<OrtTypeInfo>([&](OrtTypeInfo** out) {
        return Ort().GetSequenceElementType(sequence, out);
      }));
  ValueInfo out;
  out.kind = Value::Kind::kSequence;
  TRY(ValueInfo inner, DescribeType(element.get()));
  out.type = inner.type;
  out.element.push_back(std::move(inner));
  return out;
}

Result<ValueInfo> DescribeMap(const OrtTypeInfo* info) {
  const OrtMapTypeInfo* map = nullptr;
  TRY(Checked(Ort().CastTypeInfoToMapTypeInfo(info, &map)));
  ONNXTensorElementDataType key{};
  TRY(Checked(Ort().GetMapKeyType(map, &key)));
  TRY(auto type,
      Made<OrtTypeInfo>([&](OrtTypeInfo** out) { return Ort().GetMapValueType(map, out); }));
  TRY(ValueInfo out, DescribeType(type.get()));
  out.kind = Value::Kind::kMap;
  out.key = static_cast<ElementType>(key);
  return out;
}

Result<ValueInfo> DescribeOptional(const OrtTypeInfo* info) {
  const OrtOptionalTypeInfo* optional = nullptr;
  TRY(Checked(Ort().CastTypeInfoToOptionalTypeInfo(info, &optional)));
  TRY(auto contained, Made<OrtTypeInfo>([&](OrtTypeInfo** out) {
        return Ort().GetOptionalContainedTypeInfo(optional, out);
      }));
  TRY(ValueInfo out, DescribeType(contained.get()));
  out.may_be_none = true;
  return out;
}

}  // namespace

Result<OrtOwned<OrtValue>> ToOrt(Value& value, const OrtMemoryInfo* memory) {
  if (value.kind == Value::Kind::kNone) return OrtOwned<OrtValue>();
  if (value.kind == Value::Kind::kTensor) return TensorToOrt(value.tensor, memory);
  std::vector<OrtOwned<OrtValue>> items;
  std::vector<const OrtValue*> pointers;
  for (Value& item : value.items) {
    TRY(items.emplace_back(), ToOrt(item, memory));
    pointers.push_back(items.back().get());
  }
  const bool map = value.kind == Value::Kind::kMap;
  return Made<OrtValue>([&](OrtValue** out) {
    return Ort().CreateValue(pointers.data(), pointers.size(),
                             map ? ONNX_TYPE_MAP : ONNX_TYPE_SEQUENCE, out);
  });
}

Result<Value> FromOrt(const OrtValue* value) {
  int there = 0;
  if (value != nullptr) TRY(Checked(Ort().HasValue(value, &there)));
  if (there == 0) return Value{};
  ONNXType type{};
  TRY(Checked(Ort().GetValueType(value, &type)));
  switch (type) {
    case ONNX_TYPE_TENSOR:
      return TensorFromOrt(value);
    case ONNX_TYPE_SEQUENCE:
      return ItemsFromOrt(value, Value::Kind::kSequence);
    case ONNX_TYPE_MAP:
      return ItemsFromOrt(value, Value::Kind::kMap);
    default:
      return Fail(Code::kUnsupported, "the model answers with a sparse tensor or an opaque value");
  }
}

Result<ValueInfo> DescribeType(const OrtTypeInfo* info) {
  ONNXType type{};
  TRY(Checked(Ort().GetOnnxTypeFromTypeInfo(info, &type)));
  switch (type) {
    case ONNX_TYPE_TENSOR: {
      const OrtTensorTypeAndShapeInfo* tensor = nullptr;
      TRY(Checked(Ort().CastTypeInfoToTensorInfo(info, &tensor)));
      return DescribeTensor(tensor);
    }
    case ONNX_TYPE_SEQUENCE:
      return DescribeSequence(info);
    case ONNX_TYPE_MAP:
      return DescribeMap(info);
    case ONNX_TYPE_OPTIONAL:
      return DescribeOptional(info);
    default:
      return Fail(Code::kUnsupported, "sparse tensors and opaque types are not supported");
  }
}

}  // namespace samovar
