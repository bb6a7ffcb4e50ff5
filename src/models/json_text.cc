#include "models/json_text.h"

#include <fmt/format.h>

#include <algorithm>

#include "wire/utf8.h"

namespace samovar {
namespace {

// How many bytes at `at` are one character, or 0.
std::size_t CharacterAt(std::string_view text, std::size_t at) {
  for (std::size_t size = 1; size <= 4 && at + size <= text.size(); ++size) {
    if (IsUtf8(text.substr(at, size))) return size;
  }
  return 0;
}

void AppendScalar(const Tensor& tensor, std::size_t index, std::string& out) {
  if (tensor.IsText()) return AppendJsonString(tensor.strings[index], out);
  if (!IsComplex(tensor.type)) {
    return AppendElement(tensor.type, tensor.bytes.data(), index, true, out);
  }
  out += '[';
  AppendElement(tensor.type, tensor.bytes.data(), index * 2, true, out);
  out += ',';
  AppendElement(tensor.type, tensor.bytes.data(), index * 2 + 1, true, out);
  out += ']';
}

void AppendFrom(const Tensor& tensor, std::size_t depth, std::size_t& index, std::string& out) {
  if (depth == tensor.shape.size()) return AppendScalar(tensor, index++, out);
  out += '[';
  for (std::int64_t i = 0; i < tensor.shape[depth]; ++i) {
    if (i > 0) out += ',';
    AppendFrom(tensor, depth + 1, index, out);
  }
  out += ']';
}

void AppendMap(const Value& map, std::string& out) {
  const Tensor& keys = map.items[0].tensor;
  out += '{';
  for (std::size_t i = 0; i < keys.Count(); ++i) {
    if (i > 0) out += ',';
    if (keys.IsText()) {
      AppendJsonString(keys.strings[i], out);
    } else {
      out += '"';
      AppendElement(keys.type, keys.bytes.data(), i, false, out);
      out += '"';
    }
    out += ':';
    AppendScalar(map.items[1].tensor, i, out);
  }
  out += '}';
}

}  // namespace

void AppendJsonString(std::string_view text, std::string& out) {
  out += '"';
  const bool clean = IsUtf8(text);
  for (std::size_t i = 0; i < text.size();) {
    const auto c = static_cast<unsigned char>(text[i]);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += text[i++];
    } else if (c < 0x20) {
      out += fmt::format("\\u{:04x}", c);
      ++i;
    } else if (c < 0x80 || clean) {
      out += text[i++];
    } else if (const std::size_t size = CharacterAt(text, i)) {
      out += text.substr(i, size);
      i += size;
    } else {
      out += "\xef\xbf\xbd";
      ++i;
    }
  }
  out += '"';
}

void AppendFlatTensor(const Tensor& tensor, std::string& out) {
  out += '[';
  const std::size_t count = tensor.Count();
  for (std::size_t i = 0; i < count; ++i) {
    if (i > 0) out += ',';
    AppendScalar(tensor, i, out);
  }
  out += ']';
}

void AppendNestedTensor(const Tensor& tensor, std::string& out) {
  std::size_t index = 0;
  AppendFrom(tensor, 0, index, out);
}

void AppendRow(const Tensor& tensor, std::size_t row, std::string& out) {
  std::size_t index =
      tensor.shape[0] == 0 ? 0 : row * (tensor.Count() / static_cast<std::size_t>(tensor.shape[0]));
  AppendFrom(tensor, 1, index, out);
}

void AppendValue(const Value& value, std::string& out) {
  switch (value.kind) {
    case Value::Kind::kTensor:
      return AppendNestedTensor(value.tensor, out);
    case Value::Kind::kMap:
      return AppendMap(value, out);
    case Value::Kind::kSequence:
      out += '[';
      for (std::size_t i = 0; i < value.items.size(); ++i) {
        if (i > 0) out += ',';
        AppendValue(value.items[i], out);
      }
      out += ']';
      return;
    case Value::Kind::kNone:
      out += "null";
  }
}

}  // namespace samovar
