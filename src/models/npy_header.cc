#include "models/npy_header.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <optional>

#include "wire/utf8.h"

namespace samovar {
namespace {

constexpr std::string_view kMagic = "\x93NUMPY";
constexpr std::size_t kLongestString = 1 << 20;

std::unexpected<Error> Malformed(std::string_view what) {
  return InvalidInput(fmt::format("the .npy file {}", what));
}

// The text after 'key': in the head's Python dictionary.
std::optional<std::string_view> After(std::string_view head, std::string_view key) {
  const std::size_t at = head.find(fmt::format("'{}'", key));
  if (at == std::string_view::npos) return std::nullopt;
  const std::size_t colon = head.find(':', at + key.size() + 2);
  if (colon == std::string_view::npos) return std::nullopt;
  const std::size_t begin = head.find_first_not_of(' ', colon + 1);
  if (begin == std::string_view::npos) return std::nullopt;
  return head.substr(begin);
}

Result<Shape> ReadTuple(std::string_view text) {
  Shape shape;
  if (!text.starts_with('(')) return Malformed("has no shape");
  text.remove_prefix(1);
  while (true) {
    text.remove_prefix(std::min(text.find_first_not_of(" ,"), text.size()));
    if (text.starts_with(')')) return shape;
    std::int64_t value = 0;
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || value < 0 || shape.size() == 32) {
      return Malformed("has no shape");
    }
    shape.push_back(value);
    text.remove_prefix(static_cast<std::size_t>(end - text.data()));
  }
}

Result<void> ReadDescr(std::string_view text, NpyHeader& header) {
  if (!text.starts_with('\'')) return Malformed("holds no plain array");
  const std::size_t end = text.find('\'', 1);
  if (end == std::string_view::npos || end < 4) return Malformed("holds no plain array");
  header.descr = text.substr(1, end - 1);
  header.big_endian = header.descr[0] == '>';
  header.kind = header.descr[1];
  const char* last = header.descr.data() + header.descr.size();
  const auto [at, error] = std::from_chars(header.descr.data() + 2, last, header.size);
  const std::size_t size = header.size;
  bool known = error == std::errc() && at == last && std::strchr("<>|=", header.descr[0]);
  switch (header.kind) {
    case 'b':
      known = known && size == 1;
      break;
    case 'i':
    case 'u':
      known = known && (size == 1 || size == 2 || size == 4 || size == 8);
      break;
    case 'f':
      known = known && (size == 2 || size == 4 || size == 8);
      break;
    case 'c':
      known = known && (size == 8 || size == 16);
      break;
    case 'U':
      header.size = std::min(size, kLongestString) * 4;
      known = known && size <= kLongestString;
      break;
    case 'S':
      known = known && size <= kLongestString;
      break;
    default:
      known = false;
  }
  if (!known) return Malformed(fmt::format("holds the unknown type '{}'", header.descr));
  return {};
}

Result<std::string_view> TakeHead(std::string_view& bytes) {
  if (!bytes.starts_with(kMagic) || bytes.size() < 12) return Malformed("does not begin as one");
  const int version = static_cast<unsigned char>(bytes[6]);
  const std::size_t digits = version == 1 ? 2 : 4;
  std::size_t size = 0;
  for (std::size_t i = digits; i-- > 0;) {
    size = size << 8 | static_cast<unsigned char>(bytes[8 + i]);
  }
  if (version < 1 || version > 3 || size > bytes.size() - 8 - digits) {
    return Malformed("is cut off, or of an unknown version");
  }
  const std::string_view head = bytes.substr(8 + digits, size);
  bytes.remove_prefix(8 + digits + size);
  return head;
}

// The characters of UTF-8; a byte that is none stands for itself.
std::vector<std::uint32_t> Characters(std::string_view text) {
  std::vector<std::uint32_t> out;
  const bool utf8 = IsUtf8(text);
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t size = !utf8 || lead < 0x80 ? 1 : lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
    std::uint32_t c = size == 1 ? lead : lead & (0x7fu >> size);
    for (std::size_t k = 1; k < size; ++k) {
      c = c << 6 | (static_cast<unsigned char>(text[i + k]) & 0x3fu);
    }
    out.push_back(c);
    i += size;
  }
  return out;
}

}  // namespace

std::string_view NpyDescr(ElementType type) {
  switch (type) {
    case ElementType::kFloat:
      return "<f4";
    case ElementType::kDouble:
      return "<f8";
    case ElementType::kFloat16:
      return "<f2";
    case ElementType::kInt8:
      return "|i1";
    case ElementType::kInt16:
      return "<i2";
    case ElementType::kInt32:
      return "<i4";
    case ElementType::kInt64:
      return "<i8";
    case ElementType::kUint8:
      return "|u1";
    case ElementType::kUint16:
      return "<u2";
    case ElementType::kUint32:
      return "<u4";
    case ElementType::kUint64:
      return "<u8";
    case ElementType::kBool:
      return "|b1";
    case ElementType::kComplex64:
      return "<c8";
    case ElementType::kComplex128:
      return "<c16";
    default:
      return "";
  }
}

Result<NpyHeader> ReadNpyHeader(std::string_view& bytes) {
  TRY(const std::string_view head, TakeHead(bytes));
  NpyHeader header;
  const auto descr = After(head, "descr");
  const auto order = After(head, "fortran_order");
  const auto shape = After(head, "shape");
  if (!descr || !order || !shape) return Malformed("has an incomplete head");
  TRY(ReadDescr(*descr, header));
  TRY(header.shape, ReadTuple(*shape));
  header.fortran_order = order->starts_with("True");
  const auto count = ElementCount(header.shape);
  // The division first: the product may pass what a size can hold.
  const bool fits = count && (header.size == 0 || *count <= bytes.size() / header.size) &&
                    *count * header.size == bytes.size();
  if (!fits) {
    return Malformed(fmt::format("has {} bytes of data for the shape {} of {}", bytes.size(),
                                 ShapeText(header.shape), header.descr));
  }
  return header;
}

std::string WriteNpyHeader(std::string_view descr, const Shape& shape) {
  std::string tuple;
  for (std::int64_t dimension : shape) tuple += fmt::format("{}, ", dimension);
  if (shape.size() > 1) tuple.resize(tuple.size() - 2);
  if (shape.size() == 1) tuple.resize(tuple.size() - 1);
  std::string head =
      fmt::format("{{'descr': '{}', 'fortran_order': False, 'shape': ({}), }}", descr, tuple);
  // The data begin at a multiple of 64.
  head.append(63 - (10 + head.size()) % 64, ' ');
  head += '\n';
  std::string out(kMagic);
  out += '\x01';
  out += '\0';
  out += static_cast<char>(head.size());
  out += static_cast<char>(head.size() >> 8);
  return out + head;
}

std::string WriteNpyStrings(const Tensor& tensor) {
  std::vector<std::vector<std::uint32_t>> cells;
  std::size_t width = 1;
  for (const std::string& text : tensor.strings) {
    cells.push_back(Characters(text));
    width = std::max(width, cells.back().size());
  }
  std::string out = WriteNpyHeader(fmt::format("<U{}", width), tensor.shape);
  for (auto& cell : cells) {
    cell.resize(width);
    out.append(reinterpret_cast<const char*>(cell.data()), width * 4);
  }
  return out;
}

}  // namespace samovar
