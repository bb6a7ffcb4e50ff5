#include "models/npy_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <bit>
#include <charconv>
#include <cstring>
#include <optional>

#include "models/flat_output.h"
#include "models/npy_header.h"

namespace samovar {
namespace {

// The element of `kind` and `size` at `from` into `tensor`. False: it does not fit.
bool StoreNumber(const NpyHeader& header, const char* from, Tensor& tensor, std::size_t index) {
  std::array<char, 16> bytes{};
  std::memcpy(bytes.data(), from, header.size);
  const std::size_t part = IsComplex(tensor.type) ? header.size / 2 : header.size;
  if (header.big_endian) {
    for (std::size_t at = 0; at < header.size; at += part) {
      std::reverse(bytes.begin() + static_cast<std::ptrdiff_t>(at),
                   bytes.begin() + static_cast<std::ptrdiff_t>(at + part));
    }
  }
  const auto* raw = reinterpret_cast<const std::byte*>(bytes.data());
  std::byte* to = tensor.bytes.data();
  switch (header.kind) {
    case 'f': {
      const ElementType type = header.size == 2   ? ElementType::kFloat16
                               : header.size == 4 ? ElementType::kFloat
                                                  : ElementType::kDouble;
      return Store(tensor.type, to, index, LoadFloating(type, raw, 0));
    }
    case 'c': {
      const ElementType type = header.size == 8 ? ElementType::kFloat : ElementType::kDouble;
      return Store(tensor.type, to, index * 2, LoadFloating(type, raw, 0)) &&
             Store(tensor.type, to, index * 2 + 1, LoadFloating(type, raw, 1));
    }
    case 'i': {
      std::int64_t value = 0;
      std::memcpy(&value, bytes.data(), header.size);
      const unsigned spare = 64 - 8 * static_cast<unsigned>(header.size);
      value = static_cast<std::int64_t>(static_cast<std::uint64_t>(value) << spare) >> spare;
      return Store(tensor.type, to, index, value);
    }
    default: {
      std::uint64_t value = 0;
      std::memcpy(&value, bytes.data(), header.size);
      return Store(tensor.type, to, index, value);
    }
  }
}

void AppendUtf8(std::uint32_t c, std::string& out) {
  if (c < 0x80) {
    out += static_cast<char>(c);
  } else if (c < 0x800) {
    out += static_cast<char>(0xc0 | c >> 6);
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    out += static_cast<char>(0xe0 | c >> 12);
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  } else {
    out += static_cast<char>(0xf0 | (c >> 18 & 7));
    out += static_cast<char>(0x80 | (c >> 12 & 0x3f));
    out += static_cast<char>(0x80 | (c >> 6 & 0x3f));
    out += static_cast<char>(0x80 | (c & 0x3f));
  }
}

std::string ReadString(const NpyHeader& header, std::string_view cell) {
  std::string text;
  if (header.kind == 'S') {
    text = cell;
    while (text.ends_with('\0')) text.pop_back();
    return text;
  }
  for (std::size_t i = 0; i + 4 <= cell.size(); i += 4) {
    std::uint32_t c = 0;
    std::memcpy(&c, cell.data() + i, 4);
    if (header.big_endian) c = __builtin_bswap32(c);
    if (c == 0 && cell.substr(i).find_first_not_of('\0') == std::string_view::npos) break;
    AppendUtf8(c, text);
  }
  return text;
}

// Where element `index` (row by row) lies in an array that is kept column by column.
std::size_t FortranIndex(const Shape& shape, std::size_t index) {
  std::size_t at = 0;
  std::vector<std::size_t> place(shape.size());
  for (std::size_t d = shape.size(); d-- > 0;) {
    place[d] = index % static_cast<std::size_t>(shape[d]);
    index /= static_cast<std::size_t>(shape[d]);
  }
  for (std::size_t d = shape.size(); d-- > 0;) {
    at = at * static_cast<std::size_t>(shape[d]) + place[d];
  }
  return at;
}

bool SameLayout(const NpyHeader& header, ElementType type) {
  const std::string_view own = NpyDescr(type);  // "" where NumPy has no such type
  return !own.empty() && !header.big_endian && !header.fortran_order &&
         header.descr.substr(1) == own.substr(1);
}

Result<Tensor> ReadArray(const ValueInfo& info, const NpyHeader& header, std::string_view data) {
  const bool text = header.kind == 'U' || header.kind == 'S';
  if (text != (info.type == ElementType::kString) || (header.kind == 'c') != IsComplex(info.type)) {
    return WrongInput(info, fmt::format("an array of {}", header.descr));
  }
  Tensor tensor = Tensor::Of(info.type, header.shape);
  if (!text && SameLayout(header, info.type)) {
    std::memcpy(tensor.bytes.data(), data.data(), data.size());
    return tensor;
  }
  const std::size_t count = tensor.Count();
  for (std::size_t i = 0; i < count; ++i) {
    const std::size_t at = header.fortran_order ? FortranIndex(header.shape, i) : i;
    const std::string_view cell = data.substr(at * header.size, header.size);
    if (text) {
      tensor.strings[i] = ReadString(header, cell);
    } else if (!StoreNumber(header, cell.data(), tensor, i)) {
      return WrongInput(info, fmt::format("an array of {} with a value that {} cannot hold",
                                          header.descr, DatatypeName(info.type)));
    }
  }
  return tensor;
}

}  // namespace

Result<ModelCall> DecodeNpy(const ModelSignature& signature, std::string_view bytes) {
  const auto required = signature.Required();
  if (required.size() != 1) {
    return InvalidInput(
        fmt::format("an .npy file is one array, and the model has {} inputs", required.size()));
  }
  const ValueInfo& info = signature.inputs[required.front()];
  if (info.kind != Value::Kind::kTensor) return WrongInput(info, "an array");
  TRY(const NpyHeader header, ReadNpyHeader(bytes));
  TRY(Tensor tensor, ReadArray(info, header, bytes));
  TRY(Conform(info, tensor, true));
  ModelCall call{.answer = PayloadForm::kNpy, .inputs = {}, .outputs = {0}};
  call.inputs.resize(signature.inputs.size());
  call.inputs[required.front()] = Value::Of(std::move(tensor));
  return call;
}

Result<std::string> EncodeNpy(const ModelSignature& signature, const ModelCall& call,
                              const std::vector<Value>& outputs) {
  TRY(FlatOutput flat, Flatten(signature.outputs[call.outputs.front()], outputs.front()));
  Tensor& tensor = flat.tensor;
  if (tensor.IsText()) return WriteNpyStrings(tensor);
  const std::string_view descr = NpyDescr(tensor.type);
  if (!descr.empty()) {
    std::string out = WriteNpyHeader(descr, tensor.shape);
    out.append(reinterpret_cast<const char*>(tensor.bytes.data()), tensor.bytes.size());
    return out;
  }
  // NumPy has no such type: the next larger one that it has.
  const bool floating = IsFloating(tensor.type);
  Tensor wide = Tensor::Of(floating ? ElementType::kFloat : ElementType::kInt8, tensor.shape);
  std::string text;
  for (std::size_t i = 0; i < wide.Count(); ++i) {
    if (floating) {
      Store(wide.type, wide.bytes.data(), i, LoadFloating(tensor.type, tensor.bytes.data(), i));
      continue;
    }
    text.clear();
    AppendElement(tensor.type, tensor.bytes.data(), i, false, text);
    std::int64_t value = 0;
    std::from_chars(text.data(), text.data() + text.size(), value);
    Store(wide.type, wide.bytes.data(), i, value);
  }
  std::string out = WriteNpyHeader(NpyDescr(wide.type), wide.shape);
  out.append(reinterpret_cast<const char*>(wide.bytes.data()), wide.bytes.size());
  return out;
}

}  // namespace samovar
