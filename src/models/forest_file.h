#pragma once
// FindForests: the tree ensembles of a model file, taken out of it.
//
// Why      ONNX Runtime keeps the rest of the graph, whatever it is: scalers before the trees,
//          casts and maps after them.
// How      Each TreeEnsembleRegressor, TreeEnsembleClassifier and TreeEnsemble of the main graph
//          becomes a node of the operator "ForestN" in the domain "samovar" (ForestOps), with the
//          same inputs and outputs and no attributes.
// Errors   kUnsupported where there is no ensemble, or one that Forest does not take; kInvalid for
//          what is no protocol buffer.
// Source   onnx.proto of ONNX 1.19.

#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/error.h"
#include "models/forest.h"
#include "models/forest_classifier.h"

namespace samovar {

inline constexpr const char* kForestDomain = "samovar";

using AnyForest = std::variant<Forest, ForestClassifier>;

struct ModelForests {
  std::string model;
  std::vector<AnyForest> forests;  // by the number in the operator's name
};

inline const Forest& TreesOf(const AnyForest& any) {
  const Forest* forest = std::get_if<Forest>(&any);
  return forest != nullptr ? *forest : std::get<ForestClassifier>(any).Trees();
}

Result<ModelForests> FindForests(std::string_view model);

}  // namespace samovar
