#include "models/node_attribute.h"

#include <bit>
#include <cstring>

#include "models/proto_reader.h"

namespace samovar {
namespace {

// Values of TensorProto.DataType.
constexpr std::uint64_t kFloat = 1;
constexpr std::uint64_t kByte = 2;

float AsFloat(std::uint64_t bits) { return std::bit_cast<float>(static_cast<std::uint32_t>(bits)); }

Result<void> TakeInts(const ProtoField& field, std::vector<std::int64_t>& out) {
  if (!field.is_bytes) {
    out.push_back(static_cast<std::int64_t>(field.value));
    return {};
  }
  ProtoReader packed(field.bytes);
  while (!packed.AtEnd()) {
    TRY(const std::uint64_t value, packed.Varint());
    out.push_back(static_cast<std::int64_t>(value));
  }
  return {};
}

Result<void> TakeFloats(const ProtoField& field, std::vector<float>& out) {
  if (!field.is_bytes) {
    out.push_back(AsFloat(field.value));
    return {};
  }
  if (field.bytes.empty()) return {};
  if (field.bytes.size() % 4 != 0) return Fail(Code::kInvalid, "floats that are cut off");
  const std::size_t old = out.size();
  out.resize(old + field.bytes.size() / 4);
  std::memcpy(out.data() + old, field.bytes.data(), field.bytes.size());
  return {};
}

// The fields of a TensorProto that hold values.
struct TensorFields {
  std::uint64_t type = 0;
  std::vector<float> floats;
  std::vector<std::int64_t> ints;
  std::string_view raw;
};

Result<TensorFields> ReadTensor(std::string_view bytes, std::uint64_t type) {
  TensorFields out;
  ProtoReader reader(bytes);
  while (!reader.AtEnd()) {
    TRY(const ProtoField field, reader.Next());
    if (field.number == 2) out.type = field.value;
    if (field.number == 4) TRY(TakeFloats(field, out.floats));
    if (field.number == 5) TRY(TakeInts(field, out.ints));
    if (field.number == 9) out.raw = field.bytes;
    if (field.number == 14 && field.value != 0) {
      return Fail(Code::kUnsupported, "a tensor in a file beside the model");
    }
  }
  if (out.type != type) return Fail(Code::kUnsupported, "a tensor of another type");
  return out;
}

}  // namespace

Result<NodeAttribute> NodeAttribute::Read(std::string_view bytes) {
  NodeAttribute out;
  ProtoReader reader(bytes);
  while (!reader.AtEnd()) {
    TRY(const ProtoField field, reader.Next());
    switch (field.number) {
      case 1:
        out.name = field.bytes;
        break;
      case 3:
        out.number = static_cast<std::int64_t>(field.value);
        break;
      case 4:
        out.text = field.bytes;
        break;
      case 5:
        out.tensor = field.bytes;
        break;
      case 7:
        TRY(TakeFloats(field, out.floats));
        break;
      case 8:
        TRY(TakeInts(field, out.ints));
        break;
      case 9:
        out.strings.push_back(field.bytes);
        break;
      default:
        break;
    }
  }
  return out;
}

Result<std::vector<float>> NodeAttribute::FloatTensor() const {
  TRY(TensorFields fields, ReadTensor(*tensor, kFloat));
  if (fields.raw.empty()) return std::move(fields.floats);
  if (fields.raw.size() % 4 != 0) return Fail(Code::kInvalid, "floats that are cut off");
  std::vector<float> out(fields.raw.size() / 4);
  std::memcpy(out.data(), fields.raw.data(), fields.raw.size());
  return out;
}

Result<std::vector<std::uint8_t>> NodeAttribute::ByteTensor() const {
  TRY(const TensorFields fields, ReadTensor(*tensor, kByte));
  if (!fields.raw.empty()) return std::vector<std::uint8_t>(fields.raw.begin(), fields.raw.end());
  std::vector<std::uint8_t> out;
  for (std::int64_t value : fields.ints) out.push_back(static_cast<std::uint8_t>(value));
  return out;
}

}  // namespace samovar
