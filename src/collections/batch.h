#pragma once
// Batch: changes of one collection that are made together or not at all, in the form in which they
// go to the log (docs/formats/collections.md).
//
// Errors   Of the adding functions: kInvalid, naming the field; the batch is as it was. kTooLarge
//          past kMaxBatch. Of ReadBatch: kInternal, as what it reads has a checksum.

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <string_view>

#include "collections/schema.h"

namespace samovar {

inline constexpr std::size_t kMaxBatch = 64 << 20;

class Batch {
 public:
  explicit Batch(const Schema& schema = {}) : schema_(schema) {}

  // The row with this id, new or in place of the one before. `attributes`: a JSON object, or "".
  Result<void> Put(std::string_view id, std::span<const float> vector,
                   std::string_view attributes = {});
  Result<void> Delete(std::string_view id);
  // Members of the object replace those of the row's attributes, null takes one away.
  Result<void> Update(std::string_view id, std::string_view attributes);

  std::size_t Count() const { return count_; }
  std::size_t Puts() const { return puts_; }
  const Schema& Of() const { return schema_; }
  std::string TakeBytes() { return std::move(bytes_); }
  const std::string& Bytes() const { return bytes_; }

 private:
  Result<void> Add(std::uint8_t kind, std::string_view id, std::string_view text,
                   std::string_view vector, float scale, float inverse_norm);

  Schema schema_;
  std::string bytes_;
  std::size_t count_ = 0;
  std::size_t puts_ = 0;
};

struct Change {
  enum class Kind : std::uint8_t { kPut = 1, kDelete = 2, kUpdate = 3 };
  Kind kind = Kind::kPut;
  std::string_view id;
  std::string_view text;    // attributes, or the update
  std::string_view vector;  // as stored
  float scale = 1;
  float inverse_norm = 0;
};

// Calls `visit` for each change, in order; stops at its first error.
Result<void> ReadBatch(const Schema& schema, std::string_view bytes,
                       const std::function<Result<void>(const Change&)>& visit);

}  // namespace samovar
