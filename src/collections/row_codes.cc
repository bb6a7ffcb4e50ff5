#include "collections/row_codes.h"

#include <new>

#include "collections/disk.h"
#include "collections/vectors.h"

namespace samovar {

BuiltCodes::BuiltCodes(const Segment& segment, const Schema& schema, std::uint64_t rows)
    : segment_(segment), schema_(schema), bytes_(schema.RowBytes()), facts_(rows) {
  if (schema.storage == Storage::kI8) return;
  bytes_ = CodeBytes(schema);
  const std::size_t size = (rows * bytes_ + kHugePage - 1) / kHugePage * kHugePage;
  made_.reset(static_cast<char*>(std::aligned_alloc(kHugePage, size)));
  if (!made_) throw std::bad_alloc();
}

void BuiltCodes::Encode(std::uint64_t row) {
  const layout::Facts& its = segment_.Facts()[row];
  if (!made_) {
    facts_[row] = FactsOfCode(schema_, its);
    return;
  }
  const auto values = DecodeVector(schema_, segment_.Vector(row).data(), its.scale);
  facts_[row] = EncodeRow(schema_, values, made_.get() + row * bytes_);
}

void BuiltCodes::Drop() {
  made_.reset();
  facts_ = {};
  bytes_ = 0;
}

}  // namespace samovar
