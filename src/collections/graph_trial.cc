#include "collections/graph_trial.h"

#include <limits>
#include <numeric>

namespace samovar {
namespace {

using layout::GraphAdvice;

constexpr std::array<std::uint32_t, layout::kAdviceSteps> kWidths{64, 128, 256, 512};
constexpr double kWanted = 0.97;       // of them
constexpr std::size_t kMoved = 64;     // queries near a row
constexpr std::size_t kBetween = 96;   // queries between several
constexpr std::size_t kTogether = 16;  // queries of which kWanted must hold

// Codes are of use where what is wanted of the nearest is among twice as many by codes.
constexpr std::size_t kFirstByCode = 2 * kAdvisedHits;
constexpr std::size_t kSparse = 5;    // one query of so many tells that
constexpr std::size_t kBlock = 1024;  // rows

}  // namespace

void GraphTrial::AddRow(std::vector<float>& sum, float part) {
  const std::uint64_t row = random_() % rows_;
  const layout::Facts& facts = segment_.Facts()[row];
  const auto values = DecodeVector(schema_, segment_.Vector(row).data(), facts.scale);
  if (schema_.metric == Metric::kCosine) part *= facts.inverse_norm;
  for (std::size_t i = 0; i < sum.size(); ++i) sum[i] += part * values[i];
}

void GraphTrial::MakeQueries() {
  std::uniform_real_distribution<float> moved(0, 0.3F);
  for (std::size_t i = 0; i < kMoved + kBetween; ++i) {
    std::vector<float> values(schema_.dimension);
    const bool between = i >= kMoved;
    if (between) {
      const std::size_t rows = 2 + i % 4;
      for (std::size_t j = 0; j < rows; ++j) AddRow(values, 1 / static_cast<float>(rows));
    } else {
      const float by = moved(random_);
      AddRow(values, 1 - by);
      AddRow(values, by);
    }
    auto query = QueryVector::Of(schema_, values);
    if (!query) continue;
    CodeQuery code(schema_);
    code.Become(values);
    asked_.push_back({.query = std::move(*query), .code = std::move(code), .between = between});
    values_.Add(values);
  }
}

void GraphTrial::Ask(const std::function<bool()>& stopped) {
  MakeQueries();
  auto row = [&](std::uint64_t i) -> StoredVector {
    return {segment_.Vector(i).data(), segment_.Facts()[i]};
  };
  const auto nearest = FindNearRows(schema_, values_, rows_, row, nearest_, stopped);
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    // To the last bit as those of walks are ranked.
    std::vector<std::uint32_t>& rows = asked_[i].rows;
    for (const NearRow& near : nearest[i]) rows.push_back(near.row);
    if (!rows.empty()) asked_[i].last = std::ranges::min(Ranks(asked_[i], rows));
  }
}

// How many of the nearest are among the first by their codes.
std::size_t GraphTrial::AmongFirst(const Asked& asked, const std::vector<float>& by_code) const {
  std::vector<float> ranks = by_code;
  const auto last = ranks.begin() + static_cast<std::ptrdiff_t>(kFirstByCode - 1);
  std::ranges::nth_element(ranks, last, std::greater());
  return static_cast<std::size_t>(
      std::ranges::count_if(asked.rows, [&](std::uint32_t row) { return by_code[row] >= *last; }));
}

bool GraphTrial::CodesTell(const RowCodes& codes, const std::function<bool()>& stopped) const {
  if (rows_ <= kFirstByCode) return true;
  std::vector<std::uint32_t> all(rows_);
  std::iota(all.begin(), all.end(), 0U);
  std::vector<float> by_code(rows_);
  std::size_t found = 0;
  std::size_t wanted = 0;
  for (std::size_t i = 0; i < asked_.size() && !stopped(); i += kSparse) {
    for (std::size_t from = 0; from < rows_ && !stopped(); from += kBlock) {
      const std::size_t count = std::min<std::size_t>(kBlock, rows_ - from);
      asked_[i].code.Rank(codes, all.data() + from, count, by_code.data() + from);
    }
    found += AmongFirst(asked_[i], by_code);
    wanted += asked_[i].rows.size();
  }
  return static_cast<double>(found) >= kWanted * static_cast<double>(wanted);
}

std::vector<float> GraphTrial::Ranks(const Asked& asked,
                                     const std::vector<std::uint32_t>& rows) const {
  std::vector<float> ranks(rows.size());
  asked.query.RankRows(segment_.Vectors(), rows.data(), rows.size(), segment_.Facts(),
                       ranks.data());
  return ranks;
}

// Who has found all with fewer is not asked again.
void GraphTrial::WalkAll(std::size_t step, const SampleWalk& walk) {
  for (Asked& asked : asked_) {
    if (step > 0 && asked.found[step - 1] == nearest_) {
      asked.found[step] = nearest_;
      continue;
    }
    walk(asked.code, asked.query, kWidths[step], scratch_);
    std::vector<std::uint32_t> rows;
    for (const RankedNode& each : scratch_.best) rows.push_back(each.node);
    const auto found =
        std::ranges::count_if(Ranks(asked, rows), [&](float rank) { return rank >= asked.last; });
    asked.found[step] = std::min(nearest_, static_cast<std::size_t>(found));
    if (step == 0) asked.nearness = LastNearness(asked.query, scratch_.best);
  }
}

// REQUIRES: the nearest first.
float GraphTrial::Border(std::size_t step) const {
  const std::size_t together = std::min(kTogether, asked_.size());
  std::size_t found = 0;
  for (std::size_t i = 0; i < asked_.size(); ++i) {
    found += asked_[i].found[step];
    if (i >= together) found -= asked_[i - together].found[step];
    if (i + 1 < together) continue;
    if (static_cast<double>(found) < kWanted * static_cast<double>(together * nearest_)) {
      return asked_[i + 1 - together].nearness;
    }
  }
  return -std::numeric_limits<float>::infinity();
}

// Of the kind of which less is.
float GraphTrial::Found(const GraphAdvice& advice) const {
  std::array<std::size_t, 2> found{};
  std::array<std::size_t, 2> wanted{};
  for (const Asked& asked : asked_) {
    std::size_t step = 0;
    while (step + 1 < advice.steps && asked.nearness <= advice.border[step]) ++step;
    found[asked.between ? 1 : 0] += asked.found[step];
    wanted[asked.between ? 1 : 0] += nearest_;
  }
  float least = 1;
  for (std::size_t i = 0; i < found.size(); ++i) {
    if (wanted[i] > 0) {
      least = std::min(least, static_cast<float>(found[i]) / static_cast<float>(wanted[i]));
    }
  }
  return least;
}

GraphAdvice GraphTrial::Judge(const SampleWalk& walk, const std::function<bool()>& stopped) {
  GraphAdvice advice{};
  for (std::size_t step = 0; step < kWidths.size() && !stopped(); ++step) {
    WalkAll(step, walk);
    if (step == 0) std::ranges::sort(asked_, std::greater(), &Asked::nearness);
    advice.steps = static_cast<std::uint32_t>(step + 1);
    advice.width[step] = kWidths[step];
    advice.border[step] = Border(step);
    if (step > 0) {
      advice.border[step] = std::min(advice.border[step], advice.border[step - 1]);
    }
    if (advice.border[step] == -std::numeric_limits<float>::infinity()) break;
  }
  advice.found = Found(advice);
  advice.hash = AdviceHash(advice);
  return advice;
}

}  // namespace samovar
