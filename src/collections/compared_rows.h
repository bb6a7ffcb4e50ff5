#pragma once
// ComparedRows: the rows that a walk compares with one query, by their codes, or by themselves
// where there are none.
// Threads  Pure. Nothing is owned.

#include "collections/codes.h"
#include "collections/vectors.h"

namespace samovar {

class ComparedRows {
 public:
  ComparedRows(const CodeQuery& query, const RowCodes& codes) : code_(&query), codes_(codes) {}
  // `vectors` and `facts`: of the first row.
  ComparedRows(const QueryVector& query, const char* vectors, const layout::Facts* facts)
      : query_(&query), vectors_(vectors), facts_(facts) {}

  // Of the rows that `list` names, more is nearer.
  void Rank(const std::uint32_t* list, std::size_t count, float* out) const {
    if (code_) {
      code_->Rank(codes_, list, count, out);
    } else {
      query_->RankRows(vectors_, list, count, facts_, out);
    }
  }
  float One(std::uint32_t row) const {
    float rank = 0;
    Rank(&row, 1, &rank);
    return rank;
  }
  // Fetches what a comparison will read.
  void Ahead(std::uint32_t row) const {
    if (code_) {
      codes_.Ahead(row);
    } else {
      query_->Ahead(vectors_, row);
      __builtin_prefetch(facts_ + row);
    }
  }

 private:
  const CodeQuery* code_ = nullptr;
  RowCodes codes_;
  const QueryVector* query_ = nullptr;
  const char* vectors_ = nullptr;
  const layout::Facts* facts_ = nullptr;
};

}  // namespace samovar
