#pragma once
// Codes: rows as whole numbers of one byte, which walks of a graph compare instead of the rows.
//
// Why      A row of 128 f32 is 512 bytes from somewhere in memory, and a walk waits for some five
//          hundred of them. Its code is a quarter of that, and a product of whole numbers takes a
//          few instructions. What a walk ends with is ranked by the rows themselves.
// How      A row in steps of its own, 127 to its largest component, as i8 is stored; so is the
//          query. Where rows are stored as i8 they are their own codes.
// Errors   None: what is too small for steps has zeros.
// Threads  Pure.

#include <span>
#include <vector>

#include "collections/layout.h"
#include "collections/schema.h"

namespace samovar {

// Bytes of a code: the row's numbers, filled up with zeros to whole lines of the cache.
std::size_t CodeBytes(const Schema& schema);
// Writes CodeBytes(schema) bytes; the values are those of the row as stored.
layout::CodeFacts EncodeRow(const Schema& schema, std::span<const float> values, char* code);
// Of a row that is its own code.
layout::CodeFacts FactsOfCode(const Schema& schema, const layout::Facts& facts);

struct RowCodes {
  const char* codes = nullptr;
  const layout::CodeFacts* facts = nullptr;
  std::size_t bytes = 0;  // from one code to the next, a multiple of 32

  const char* At(std::uint32_t row) const { return codes + row * bytes; }
  // Fetches what a comparison will read.
  void Ahead(std::uint32_t row) const {
    const char* at = At(row);
    for (std::size_t line = 0; line < std::min(bytes, kFetched); line += 64) {
      __builtin_prefetch(at + line);
    }
    __builtin_prefetch(facts + row);
  }

 private:
  static constexpr std::size_t kFetched = 512;  // the processor foresees the rest
};

class CodeQuery {
 public:
  explicit CodeQuery(const Schema& schema);  // zeros
  // REQUIRES: as many as the schema's dimension, finite.
  void Become(std::span<const float> values);
  // One of the rows as the query.
  void Become(const RowCodes& rows, std::uint32_t row);

  // About what QueryVector::RankRows says, of the rows that `list` names.
  void Rank(const RowCodes& rows, const std::uint32_t* list, std::size_t count, float* out) const;

 private:
  void SumUp();

  Schema schema_;
  std::vector<std::int8_t> code_;
  std::int32_t sum_ = 0;  // of the code
  float factor_ = 0;
  float square_ = 0;
};

}  // namespace samovar
