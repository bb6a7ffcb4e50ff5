#pragma once
// Tensor and Value: what goes into a model and what comes out of it, apart from any runtime.
// How      A tensor owns its elements; a Value is a tensor, a sequence or map of values, or nothing
//          (an optional input that was left out).
// Threads  Plain values.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "models/element_type.h"

namespace samovar {

using Shape = std::vector<std::int64_t>;  // -1: any, in the description of an input

// nullopt where a dimension is negative or the product is past what memory could hold.
std::optional<std::size_t> ElementCount(const Shape& shape);
std::string ShapeText(const Shape& shape);  // "[-1,100]"

struct Tensor {
  ElementType type = ElementType::kUndefined;
  Shape shape;
  std::vector<std::byte> bytes;      // of every type but strings
  std::vector<std::string> strings;  // of strings

  // Sized for `shape`, zero or empty. REQUIRES: ElementCount(shape).
  static Tensor Of(ElementType type, Shape shape);
  std::size_t Count() const { return ElementCount(shape).value_or(0); }
  bool IsText() const { return type == ElementType::kString; }
};

struct Value {
  enum class Kind : std::uint8_t { kTensor, kSequence, kMap, kNone };
  Kind kind = Kind::kNone;
  Tensor tensor;
  std::vector<Value> items;  // of a sequence; of a map two tensors, its keys and its values

  static Value Of(Tensor tensor) { return {Kind::kTensor, std::move(tensor), {}}; }
  static Value Sequence(std::vector<Value> items) {
    return {Kind::kSequence, {}, std::move(items)};
  }
};

// What a model says of one of its inputs or outputs.
struct ValueInfo {
  std::string name;
  Value::Kind kind = Value::Kind::kTensor;
  ElementType type = ElementType::kUndefined;  // of a tensor's elements; of a map's values
  ElementType key = ElementType::kUndefined;   // of a map's keys
  std::optional<Shape> shape;                  // of a tensor; nullopt: any
  std::vector<ValueInfo> element;              // of a sequence: one
  bool may_be_none = false;                    // of ONNX's optional type
  bool has_default = false;                    // may be left out of a request

  bool Batches() const;  // a tensor whose first dimension may be any
};

// Rows [first, first + rows) along the first dimension. REQUIRES: they are there.
Tensor SliceRows(const Tensor& tensor, std::size_t first, std::size_t rows);
// One after another along the first dimension. REQUIRES: equal types, equal other dimensions.
Tensor JoinRows(const std::vector<const Tensor*>& parts);
// Whether rows of types below a byte begin at whole bytes, as JoinRows needs.
bool RowsAreWhole(const Tensor& tensor);

}  // namespace samovar
