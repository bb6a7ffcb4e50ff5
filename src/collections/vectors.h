#pragma once
// Vectors: between floats and the stored form, and how near stored ones are to a query.
//
// How      Plain loops over sixteen lanes that the compiler turns into SIMD, for AVX-512, for AVX2
//          and for any x86-64; the processor picks at load time. Rows are padded with zeros to 32
//          bytes.
// Errors   Encode: kInvalid for a component that is not finite or that the storage cannot hold.
// Threads  Pure.

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "collections/layout.h"
#include "collections/schema.h"

namespace samovar {

struct EncodedVector {
  std::string bytes;  // Schema::RowBytes
  float scale = 1;
  float inverse_norm = 0;
};

Result<EncodedVector> EncodeVector(const Schema& schema, std::span<const float> values);
std::vector<float> DecodeVector(const Schema& schema, const void* row, float scale);
// Into the first Schema::dimension of `values`.
void DecodeVector(const Schema& schema, const void* row, float scale, std::span<float> values);
float InverseNorm(std::span<const float> values);  // 0 of zeros

// A query, padded as the rows are.
class QueryVector {
 public:
  explicit QueryVector(const Schema& schema);  // zeros
  static Result<QueryVector> Of(const Schema& schema, std::span<const float> values);
  // A stored row as the query; keeps the memory that it has.
  void Become(const void* row, const layout::Facts& facts);

  // What orders rows, more is nearer, of `count` rows that follow each other. The metric's own
  // figure is ToScore of it.
  void Rank(const void* rows, std::size_t count, const layout::Facts* facts, float* out) const;
  // The same of the rows that `list` names: row i is at base + i * Schema::RowBytes, its facts at
  // facts + i.
  void RankRows(const void* base, const std::uint32_t* list, std::size_t count,
                const layout::Facts* facts, float* out) const;
  // Fetches a row that RankRows will read.
  void Ahead(const void* base, std::uint32_t row) const;
  // The rank as it would be for a query of length 1 (dot; else it does not depend on that).
  float Nearness(float rank) const {
    return schema_.metric == Metric::kDot ? rank * inverse_norm_ : rank;
  }
  // cosine: the cosine; dot: the product; l2: the Euclidean distance.
  float ToScore(float rank) const;

 private:
  Schema schema_;
  std::vector<float> values_;
  float inverse_norm_ = 0;
  float square_ = 0;
};

}  // namespace samovar
