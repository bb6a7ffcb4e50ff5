#include "models/forest_classifier.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <utility>

namespace samovar {
namespace {

using Kind = TreeEnsemble::Transform;

std::unexpected<Error> No(std::string why) { return Fail(Code::kUnsupported, std::move(why)); }

float Logistic(float x) {
  const float v = 1 / (1 + std::exp(-std::abs(x)));
  return x < 0 ? 1 - v : v;
}

void Softmax(std::span<float> scores) {
  float most = std::numeric_limits<float>::lowest();
  for (float score : scores) most = score > most ? score : most;
  float sum = 0;
  for (float& score : scores) {
    score = std::exp(score - most);
    sum += score;
  }
  for (float& score : scores) score /= sum;
}

}  // namespace

Result<ForestClassifier> ForestClassifier::Of(TreeEnsemble ensemble) {
  const std::size_t classes = std::max(ensemble.labels.size(), ensemble.texts.size());
  if (classes < 2) return No("fewer than two classes");
  if (!ensemble.labels.empty() && !ensemble.texts.empty()) return No("labels of two kinds");
  if (ensemble.average) return No("a classifier's average");
  if (ensemble.transform == Kind::kOther) return No("a transformation after the trees");
  ensemble.targets = static_cast<std::int64_t>(classes);
  const std::vector<float> base_values = std::exchange(ensemble.base_values, {});
  TRY(Forest forest, Forest::Of(ensemble));
  ForestClassifier made(std::move(forest));
  std::size_t known = 0;
  for (std::size_t i = 0; i < classes; ++i) {
    const auto presence = made.forest_.PresenceOf(i);
    if (presence == Forest::Presence::kSometimes) return No("leaves that know some classes only");
    known += presence == Forest::Presence::kAlways ? 1 : 0;
  }
  if (known == 0) return No("leaves of no class");
  made.one_of_two_ = classes == 2 && known == 1;
  const bool fits = base_values.empty() || (base_values.size() == classes && classes > 2) ||
                    (made.one_of_two_ && made.Has(0) && base_values.size() == 1);
  if (!fits) return No("such base values");
  // Two classes of which leaves know the first only would leave a score unwritten, or the label of
  // one that has no value.
  if (classes == 2 && !made.one_of_two_ && known != 2) return No("leaves of one class");
  made.positive_ = std::ranges::all_of(ensemble.leaf_values, [](float v) { return !(v < 0); });
  made.transform_ = ensemble.transform;
  made.labels_ = std::move(ensemble.labels);
  made.texts_ = std::move(ensemble.texts);
  made.base_values_ = base_values;
  if (made.labels_.empty()) {
    made.labels_.resize(classes);
    std::iota(made.labels_.begin(), made.labels_.end(), 0);
  }
  return made;
}

void ForestClassifier::Transform(std::span<float> scores) const {
  if (transform_ == Kind::kSoftmax) Softmax(scores);
  if (transform_ != Kind::kLogistic) return;
  for (float& score : scores) score = Logistic(score);
}

std::int64_t ForestClassifier::FinishMany(std::span<float> scores) const {
  std::size_t best = scores.size();
  for (std::size_t i = 0; i < scores.size(); ++i) {
    if (!base_values_.empty()) scores[i] += base_values_[i];
    const bool counts = Has(i) || !base_values_.empty();
    if (counts && (best == scores.size() || scores[i] > scores[best])) best = i;
  }
  Transform(scores);
  return labels_[best];
}

std::int64_t ForestClassifier::FinishTwo(std::span<float> scores) const {
  if (!one_of_two_) {
    const std::int64_t label = scores[1] > 0 ? 1 : 0;  // not one of the labels: so it is there
    Transform(scores);
    return label;
  }
  if (Has(1)) {  // the sum is where it belongs, the other stays 0
    const bool yes = scores[1] > (positive_ ? 0.5f : 0.0f);
    Transform(scores);
    return labels_[yes ? 1 : 0];
  }
  const float sum = base_values_.empty() ? scores[0] : scores[0] + base_values_[0];
  const bool yes = positive_ ? sum > 0.5f : sum > 0;
  const bool logistic = !positive_ && transform_ == Kind::kLogistic;
  scores[0] = positive_ ? 1 - sum : logistic ? Logistic(-sum) : -sum;
  scores[1] = logistic ? Logistic(sum) : sum;
  return labels_[yes ? 1 : 0];
}

void ForestClassifier::Predict(const float* x, std::size_t rows, std::size_t stride,
                               std::int64_t* labels, float* scores) const {
  const std::size_t classes = forest_.Targets();
  forest_.Predict(x, rows, stride, scores);
  for (std::size_t row = 0; row < rows; ++row) {
    const std::span<float> own(scores + row * classes, classes);
    labels[row] = classes == 2 ? FinishTwo(own) : FinishMany(own);
  }
}

}  // namespace samovar
