// Values of tensors as JSON, and back.

#include <fmt/format.h>

#include <bit>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <cmath>
#include <cstring>
#include <limits>

#include "base/encoding.h"
#include "wire/infer_message.h"
#include "wire/utf8.h"

namespace samovar {
namespace {

namespace json = boost::json;

static_assert(std::endian::native == std::endian::little);

enum class Half : bool { kIeee, kBrain };

float FromHalf(std::uint16_t bits, Half kind) {
  if (kind == Half::kBrain) return std::bit_cast<float>(static_cast<std::uint32_t>(bits) << 16);
  int exponent = (bits >> 10) & 31;
  double fraction = bits & 1023;
  double value = exponent == 0    ? std::ldexp(fraction, -24)
                 : exponent == 31 ? (fraction == 0 ? HUGE_VAL : std::nan(""))
                                  : std::ldexp(1024 + fraction, exponent - 25);
  return static_cast<float>(bits & 0x8000 ? -value : value);
}

// Rounds to nearest, ties to even.
std::uint16_t ToHalf(double value, Half kind) {
  if (kind == Half::kBrain) {
    auto bits = std::bit_cast<std::uint32_t>(static_cast<float>(value));
    if (std::isnan(value)) return 0x7FC0;
    return static_cast<std::uint16_t>((bits + 0x7FFF + ((bits >> 16) & 1)) >> 16);
  }
  std::uint16_t sign = std::signbit(value) ? 0x8000 : 0;
  value = std::fabs(value);
  if (std::isnan(value)) return static_cast<std::uint16_t>(sign | 0x7E00);
  if (value >= 65520) return static_cast<std::uint16_t>(sign | 0x7C00);
  int exponent = value < std::ldexp(1.0, -14) ? -14 : std::ilogb(value);
  auto units = static_cast<unsigned>(std::nearbyint(std::ldexp(value, 10 - exponent)));
  // A subnormal has no hidden bit; a fraction that rounds up carries into the exponent by itself.
  unsigned bits = (static_cast<unsigned>(exponent + 14) << 10) + units;
  return static_cast<std::uint16_t>(sign | bits);
}

std::unexpected<Error> BadValue(std::string_view datatype, const json::value& value) {
  return Fail(Code::kInvalid, fmt::format("expected values of {}, got {}", datatype,
                                          json::serialize(value).substr(0, 64)));
}

std::unexpected<Error> BadSize(std::string_view datatype, std::size_t size) {
  return Fail(Code::kInvalid,
              fmt::format("{} bytes are no whole number of {} elements", size, datatype));
}

template <class T, class Make>
Result<json::array> Values(std::string_view datatype, std::string_view raw, Make make) {
  if (raw.size() % sizeof(T) != 0) return BadSize(datatype, raw.size());
  json::array out;
  out.reserve(raw.size() / sizeof(T));
  for (std::size_t at = 0; at < raw.size(); at += sizeof(T)) {
    T value;
    std::memcpy(&value, raw.data() + at, sizeof value);
    out.push_back(make(value));
  }
  return out;
}

template <class T>
Result<json::array> Numbers(std::string_view datatype, std::string_view raw) {
  return Values<T>(datatype, raw, [](T value) { return json::value(value); });
}

Result<json::array> Texts(std::string_view raw) {
  json::array out;
  while (!raw.empty()) {
    std::uint32_t size = 0;
    if (raw.size() < sizeof size) return BadSize("BYTES", raw.size());
    std::memcpy(&size, raw.data(), sizeof size);
    raw.remove_prefix(sizeof size);
    if (raw.size() < size) return BadSize("BYTES", raw.size());
    auto text = raw.substr(0, size);
    if (!IsUtf8(text)) return Fail(Code::kInvalid, "BYTES that are not UTF-8 cannot be JSON");
    out.push_back(json::value(text));
    raw.remove_prefix(size);
  }
  return out;
}

// Calls `add` with every value of the nested lists, in order.
template <class Add>
Result<void> ForEach(const json::value& data, Add add) {
  if (auto* list = data.if_array()) {
    for (auto& member : *list) TRY(ForEach(member, add));
    return {};
  }
  return add(data);
}

template <class T>
void Append(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}

template <class T>
Result<std::string> Integers(std::string_view datatype, const json::value& data) {
  std::string out;
  TRY(ForEach(data, [&](const json::value& value) -> Result<void> {
    boost::system::error_code error;
    T number = value.to_number<T>(error);
    if (error) return BadValue(datatype, value);
    Append(out, number);
    return {};
  }));
  return out;
}

template <class Put>
Result<std::string> Reals(std::string_view datatype, const json::value& data, Put put) {
  std::string out;
  TRY(ForEach(data, [&](const json::value& value) -> Result<void> {
    if (!value.is_number()) return BadValue(datatype, value);
    put(out, value.to_number<double>());
    return {};
  }));
  return out;
}

Result<std::string> Booleans(const json::value& data) {
  std::string out;
  TRY(ForEach(data, [&](const json::value& value) -> Result<void> {
    if (value.is_bool()) {
      out += static_cast<char>(value.get_bool());
    } else if (value.is_number() && std::fabs(value.to_number<double>() - 0.5) == 0.5) {
      out += static_cast<char>(value.to_number<double>());
    } else {
      return BadValue("BOOL", value);
    }
    return {};
  }));
  return out;
}

Result<std::string> TextBytes(const json::value& data) {
  std::string out;
  TRY(ForEach(data, [&](const json::value& value) -> Result<void> {
    if (!value.is_string()) return BadValue("BYTES", value);
    std::string_view text = value.get_string();
    Append(out, static_cast<std::uint32_t>(text.size()));
    out += text;
    return {};
  }));
  return out;
}

std::unexpected<Error> UnknownType(std::string_view datatype) {
  return Fail(Code::kInvalid, fmt::format("'{}' is no datatype of the protocol", datatype));
}

}  // namespace

Result<json::array> TensorValues(std::string_view datatype, std::string_view raw) {
  if (datatype == "FP32") return Numbers<float>(datatype, raw);
  if (datatype == "FP64") return Numbers<double>(datatype, raw);
  if (datatype == "INT64") return Numbers<std::int64_t>(datatype, raw);
  if (datatype == "INT32") return Numbers<std::int32_t>(datatype, raw);
  if (datatype == "INT16") return Numbers<std::int16_t>(datatype, raw);
  if (datatype == "INT8") return Numbers<std::int8_t>(datatype, raw);
  if (datatype == "UINT64") return Numbers<std::uint64_t>(datatype, raw);
  if (datatype == "UINT32") return Numbers<std::uint32_t>(datatype, raw);
  if (datatype == "UINT16") return Numbers<std::uint16_t>(datatype, raw);
  if (datatype == "UINT8") return Numbers<std::uint8_t>(datatype, raw);
  if (datatype == "BYTES") return Texts(raw);
  if (datatype == "BOOL") {
    return Values<char>(datatype, raw, [](char value) { return json::value(value != 0); });
  }
  if (datatype == "FP16" || datatype == "BF16") {
    Half kind = datatype == "FP16" ? Half::kIeee : Half::kBrain;
    return Values<std::uint16_t>(
        datatype, raw, [kind](std::uint16_t value) { return json::value(FromHalf(value, kind)); });
  }
  return UnknownType(datatype);
}

Result<std::string> TensorBytes(std::string_view datatype, const json::value& data) {
  if (datatype == "FP32") {
    return Reals(datatype, data,
                 [](std::string& out, double v) { Append(out, static_cast<float>(v)); });
  }
  if (datatype == "FP64") {
    return Reals(datatype, data, [](std::string& out, double v) { Append(out, v); });
  }
  if (datatype == "FP16" || datatype == "BF16") {
    Half kind = datatype == "FP16" ? Half::kIeee : Half::kBrain;
    return Reals(datatype, data,
                 [kind](std::string& out, double v) { Append(out, ToHalf(v, kind)); });
  }
  if (datatype == "INT64") return Integers<std::int64_t>(datatype, data);
  if (datatype == "INT32") return Integers<std::int32_t>(datatype, data);
  if (datatype == "INT16") return Integers<std::int16_t>(datatype, data);
  if (datatype == "INT8") return Integers<std::int8_t>(datatype, data);
  if (datatype == "UINT64") return Integers<std::uint64_t>(datatype, data);
  if (datatype == "UINT32") return Integers<std::uint32_t>(datatype, data);
  if (datatype == "UINT16") return Integers<std::uint16_t>(datatype, data);
  if (datatype == "UINT8") return Integers<std::uint8_t>(datatype, data);
  if (datatype == "BOOL") return Booleans(data);
  if (datatype == "BYTES") return TextBytes(data);
  return UnknownType(datatype);
}

}  // namespace samovar
