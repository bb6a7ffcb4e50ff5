#include "models/batch_probe.h"

#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <random>

#include "models/batcher.h"
#include "models/random_rows.h"

namespace samovar {
namespace {

using std::chrono::steady_clock;

constexpr std::chrono::milliseconds kTooSlow{200};  // for one row: a start must not wait for this
constexpr std::chrono::milliseconds kBudget{300};
constexpr std::size_t kRandomRows = 24;

// A verdict, or nothing where the model cannot run these rows.
std::optional<BatchingVerdict> Try(OnnxModel& model, std::vector<ModelCall> rows,
                                   std::size_t max_rows) {
  const auto began = steady_clock::now();
  std::vector<std::vector<Value>> alone;
  for (ModelCall& row : rows) {
    auto outputs = model.Run(row.inputs, row.outputs);
    if (!outputs) return std::nullopt;
    alone.push_back(std::move(*outputs));
    if (alone.size() == 1 && steady_clock::now() - began > kTooSlow) {
      return BatchingVerdict{false, "one row takes too long to try it"};
    }
    if (steady_clock::now() - began > kBudget && alone.size() > 2) break;
  }
  rows.resize(alone.size());
  Batcher batcher(model, max_rows);
  for (std::size_t size : {std::size_t{2}, std::size_t{5}, max_rows}) {
    std::vector<ModelCall*> batch;
    std::vector<const ModelCall*> chosen;
    for (std::size_t i = 0; i < std::min(size, max_rows); ++i) {
      batch.push_back(&rows[i % rows.size()]);
      chosen.push_back(batch.back());
    }
    if (batcher.NextBatch(chosen) != batch.size()) {
      return BatchingVerdict{false, "its inputs cannot be joined"};
    }
    auto together = batcher.Run(batch);
    for (std::size_t i = 0; i < batch.size(); ++i) {
      if (!together[i])
        return BatchingVerdict{false, "a batch fails: " + together[i].error().message};
      if (!SameAnswers(*together[i], alone[i % rows.size()])) {
        return BatchingVerdict{false, fmt::format("in a batch of {} a row gets another answer than "
                                                  "alone, if only in its last digits",
                                                  batch.size())};
      }
    }
  }
  return BatchingVerdict{true, ""};
}

}  // namespace

BatchingVerdict ProbeBatching(OnnxModel& model, const ModelSignature& signature,
                              std::size_t max_rows, const std::vector<ModelCall>& given) {
  if (!CanBatch(model)) return {false, "the model has no first dimension that may be any"};
  std::mt19937 random(1);  // the same rows at every start
  std::vector<ModelCall> rows;
  for (std::size_t i = 0; i < kRandomRows; ++i) rows.push_back(RandomRow(signature, random));
  if (auto verdict = Try(model, std::move(rows), max_rows)) return *verdict;
  if (given.size() > 1) {
    if (auto verdict = Try(model, given, max_rows)) return *verdict;
  }
  return {false, "it fails on random rows, and samovar.yaml gives no two rows to warm up with"};
}

}  // namespace samovar
