#pragma once
// ForestClassifier: a forest whose sums become a label and a score a class.
//
// How      As ONNX Runtime does it, which goes beyond what the operator's specification says: where
//          two classes have values for one only, the sum is the positive class's, and what it is
//          compared with depends on whether all values are positive.
// Errors   Of: kUnsupported for what ONNX Runtime should rather do.
// Threads  Immutable.
// Source   ONNX Runtime, tree_ensemble_aggregator.h; CheckForests holds each model against it.

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/forest.h"

namespace samovar {

class ForestClassifier {
 public:
  static Result<ForestClassifier> Of(TreeEnsemble ensemble);

  const Forest& Trees() const { return forest_; }
  const std::vector<std::string>& Texts() const { return texts_; }  // empty: labels are numbers

  // Labels (indexes of Texts() where there are any) and Trees().Targets() scores a row.
  void Predict(const float* x, std::size_t rows, std::size_t stride, std::int64_t* labels,
               float* scores) const;

 private:
  explicit ForestClassifier(Forest forest) : forest_(std::move(forest)) {}
  std::int64_t FinishTwo(std::span<float> scores) const;
  std::int64_t FinishMany(std::span<float> scores) const;
  void Transform(std::span<float> scores) const;
  bool Has(std::size_t target) const {
    return forest_.PresenceOf(target) == Forest::Presence::kAlways;
  }

  Forest forest_;
  TreeEnsemble::Transform transform_ = TreeEnsemble::Transform::kNone;
  std::vector<std::int64_t> labels_;
  std::vector<std::string> texts_;
  std::vector<float> base_values_;
  bool one_of_two_ = false;  // two classes, values for one
  bool positive_ = true;     // no value is below 0
};

}  // namespace samovar
