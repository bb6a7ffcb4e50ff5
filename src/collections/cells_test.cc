#include "collections/cells.h"

#include <gtest/gtest.h>

namespace samovar {
namespace {

// With thousands of numbers a row, one row takes milliseconds: a stop is heeded after each.
TEST(Cells, WhoLooksForCentresHearsOfAStopAfterEachRow) {
  constexpr std::uint64_t kRows = 4096;
  const Schema schema{8, Metric::kL2, Storage::kF32};
  std::uint64_t vectors = 0;
  const auto vector = [&](std::uint64_t row) {
    ++vectors;
    std::vector<float> values(8);
    for (std::size_t i = 0; i < 8; ++i) values[i] = static_cast<float>(row * (i + 3) % 101);
    return values;
  };
  std::uint64_t asked = 0;
  EXPECT_GT(FindCentres(schema, kRows, vector, [&] { return ++asked == 0; }).Count(), 0U);
  const std::uint64_t sample = vectors;
  EXPECT_GE(asked, 3 * sample);  // to read the rows, and at least twice to sort them
  for (const std::uint64_t stop : {sample / 2, sample * 3 / 2, sample * 5 / 2}) {
    std::uint64_t so_far = 0;
    FindCentres(schema, kRows, vector, [&] { return ++so_far >= stop; });
    EXPECT_LE(so_far, stop + 8);
  }
}

}  // namespace
}  // namespace samovar
