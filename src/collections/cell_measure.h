#pragma once
// MeasureEnough: how many rows of a segment in cells a search must compare to find what is near.
//
// Why      Centres fit one kind of rows well and another badly: rows that lie in no clusters want
//          ten times as many comparisons as others. What is measured holds where a guess does not.
// How      Some rows as queries: the nearest of the others, exactly, as many as ten of the whole
//          collection would have here, and how many rows lie in the cells up to those where these
//          are. Costs some hundred nanoseconds a row.
// Threads  Pure. A stop is heeded after some rows.

#include <cstdint>
#include <functional>
#include <span>
#include <vector>

#include "collections/centres.h"

namespace samovar {

// Of layout::kWhole rows, so many. `cell[i]`: that of row i; every row has one. `all`: rows of the
// collection.
std::uint32_t MeasureEnough(const Schema& schema, const CellCentres& centres,
                            std::span<const std::uint32_t> cell, const StoredVectorOf& vector,
                            std::uint64_t all, const std::function<bool()>& stopped);

}  // namespace samovar
