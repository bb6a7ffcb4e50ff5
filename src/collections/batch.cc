#include "collections/batch.h"

#include <cstring>

#include "collections/attributes.h"
#include "collections/vectors.h"

namespace samovar {
namespace {

struct ChangeHead {
  std::uint8_t kind;
  std::uint8_t reserved;
  std::uint16_t id_size;
  std::uint32_t text_size;
  float scale;
  float inverse_norm;
};
static_assert(sizeof(ChangeHead) == 16);

}  // namespace

Result<void> Batch::Add(std::uint8_t kind, std::string_view id, std::string_view text,
                        std::string_view vector, float scale, float inverse_norm) {
  ChangeHead head{kind,
                  0,
                  static_cast<std::uint16_t>(id.size()),
                  static_cast<std::uint32_t>(text.size()),
                  scale,
                  inverse_norm};
  if (bytes_.size() + sizeof(head) + vector.size() + text.size() + id.size() > kMaxBatch) {
    return Fail(Code::kTooLarge,
                "a batch may have " + std::to_string(kMaxBatch) + " bytes; send it as several");
  }
  // The id, of which no byte is zero, comes last: an end of zeros was never written (log.cc).
  bytes_.append(reinterpret_cast<const char*>(&head), sizeof(head));
  bytes_.append(vector).append(text).append(id);
  ++count_;
  return {};
}

Result<void> Batch::Put(std::string_view id, std::span<const float> vector,
                        std::string_view attributes) {
  TRY(CheckRowId(id));
  TRY(const auto encoded, EncodeVector(schema_, vector));
  std::string text;
  if (!attributes.empty()) {
    TRY(text, CanonicalAttributes(attributes));
  }
  TRY(Add(1, id, text, encoded.bytes, encoded.scale, encoded.inverse_norm));
  ++puts_;
  return {};
}

Result<void> Batch::Delete(std::string_view id) {
  TRY(CheckRowId(id));
  return Add(2, id, {}, {}, 0, 0);
}

Result<void> Batch::Update(std::string_view id, std::string_view attributes) {
  TRY(CheckRowId(id));
  TRY(const std::string text, CanonicalAttributes(attributes));
  return Add(3, id, text, {}, 0, 0);
}

Result<void> ReadBatch(const Schema& schema, std::string_view bytes,
                       const std::function<Result<void>(const Change&)>& visit) {
  auto broken = [] { return Fail(Code::kInternal, "a batch is not in its format"); };
  auto take = [&bytes](std::size_t size) {
    auto part = bytes.substr(0, size);
    bytes.remove_prefix(size);
    return part;
  };
  while (!bytes.empty()) {
    ChangeHead head{};
    if (bytes.size() < sizeof(head)) return broken();
    std::memcpy(&head, take(sizeof(head)).data(), sizeof(head));
    if (head.kind < 1 || head.kind > 3) return broken();
    const std::size_t vector_size = head.kind == 1 ? schema.RowBytes() : 0;
    if (bytes.size() < vector_size + head.id_size + std::size_t{head.text_size}) return broken();
    Change change{.kind = static_cast<Change::Kind>(head.kind),
                  .id = {},
                  .text = {},
                  .vector = take(vector_size),
                  .scale = head.scale,
                  .inverse_norm = head.inverse_norm};
    change.text = take(head.text_size);
    change.id = take(head.id_size);
    if (!CheckRowId(change.id) || change.text.size() > kMaxAttributes) return broken();
    TRY(visit(change));
  }
  return {};
}

}  // namespace samovar
