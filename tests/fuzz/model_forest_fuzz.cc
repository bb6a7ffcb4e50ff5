// A model file's tree ensembles: whatever it says, a forest that is made of it stays within itself.

#include <vector>

#include "input.h"
#include "models/forest_file.h"
#include "models/proto_reader.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  auto found = FindForests(input.Rest());
  if (!found) return 0;
  for (const AnyForest& any : found->forests) {
    const Forest& forest = TreesOf(any);
    if (forest.Width() > 10000 || forest.Targets() > 1000) continue;
    constexpr std::size_t kRows = 11;
    const std::size_t stride = forest.Width() + 1;
    std::vector<float> rows(kRows * stride);
    std::mt19937 random(1);
    for (std::size_t row = 0; row < kRows; ++row) forest.Provoke(random, &rows[row * stride]);
    std::vector<float> out(kRows * forest.Targets());
    forest.Predict(rows.data(), kRows, stride, out.data());
    forest.Predict(rows.data(), 1, stride, out.data());
    if (const auto* classifier = std::get_if<ForestClassifier>(&any)) {
      std::vector<std::int64_t> labels(kRows);
      classifier->Predict(rows.data(), kRows, stride, labels.data(), out.data());
    }
  }
  // What is left is a message as before.
  ProtoReader reader(found->model);
  while (!reader.AtEnd()) CHECK(reader.Next().has_value());
  return 0;
}
