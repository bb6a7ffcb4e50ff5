#include "models/forest_file.h"

#include <fmt/format.h>

#include <map>
#include <utility>

#include "models/newer_ensemble.h"
#include "models/node_attribute.h"
#include "models/proto_reader.h"
#include "models/proto_writer.h"

namespace samovar {
namespace {

using Mode = TreeEnsemble::Mode;

// Fields of ModelProto, GraphProto and NodeProto.
constexpr std::uint32_t kModelGraph = 7;
constexpr std::uint32_t kModelOpset = 8;
constexpr std::uint32_t kGraphNode = 1;
constexpr std::uint32_t kNodeInput = 1;
constexpr std::uint32_t kNodeOutput = 2;
constexpr std::uint32_t kNodeName = 3;
constexpr std::uint32_t kNodeOperator = 4;
constexpr std::uint32_t kNodeAttribute = 5;
constexpr std::uint32_t kNodeDomain = 7;

std::unexpected<Error> No(std::string why) { return Fail(Code::kUnsupported, std::move(why)); }

Mode ModeOf(std::string_view text) {
  if (text == "LEAF") return Mode::kLeaf;
  if (text == "BRANCH_LEQ") return Mode::kLessOrEqual;
  if (text == "BRANCH_LT") return Mode::kLess;
  if (text == "BRANCH_GT") return Mode::kGreater;
  if (text == "BRANCH_GTE") return Mode::kGreaterOrEqual;
  return Mode::kOther;
}

TreeEnsemble::Transform TransformOf(std::string_view text) {
  using Transform = TreeEnsemble::Transform;
  if (text == "NONE") return Transform::kNone;
  if (text == "LOGISTIC") return Transform::kLogistic;
  return text == "SOFTMAX" ? Transform::kSoftmax : Transform::kOther;
}

std::vector<std::int64_t>* IntColumn(std::string_view name, TreeEnsemble& ensemble) {
  if (name == "nodes_treeids") return &ensemble.tree_ids;
  if (name == "nodes_nodeids") return &ensemble.node_ids;
  if (name == "nodes_featureids") return &ensemble.features;
  if (name == "nodes_truenodeids") return &ensemble.true_ids;
  if (name == "nodes_falsenodeids") return &ensemble.false_ids;
  if (name == "nodes_missing_value_tracks_true") return &ensemble.missing_is_true;
  if (name == "classlabels_int64s") return &ensemble.labels;
  if (name == "target_treeids" || name == "class_treeids") return &ensemble.leaf_trees;
  if (name == "target_nodeids" || name == "class_nodeids") return &ensemble.leaf_nodes;
  if (name == "target_ids" || name == "class_ids") return &ensemble.leaf_targets;
  return nullptr;
}

std::vector<float>* FloatColumn(std::string_view name, TreeEnsemble& ensemble) {
  if (name == "nodes_values") return &ensemble.limits;
  if (name == "target_weights" || name == "class_weights") return &ensemble.leaf_values;
  if (name == "base_values") return &ensemble.base_values;
  return nullptr;
}

Result<void> TakeAttribute(NodeAttribute attribute, TreeEnsemble& ensemble) {
  if (auto* ints = IntColumn(attribute.name, ensemble)) {
    *ints = std::move(attribute.ints);
  } else if (auto* floats = FloatColumn(attribute.name, ensemble)) {
    *floats = std::move(attribute.floats);
  } else if (attribute.name == "nodes_modes") {
    for (std::string_view mode : attribute.strings) ensemble.modes.push_back(ModeOf(mode));
  } else if (attribute.name == "n_targets") {
    ensemble.targets = attribute.number;
  } else if (attribute.name == "aggregate_function") {
    ensemble.average = attribute.text == "AVERAGE";
    if (!ensemble.average && attribute.text != "SUM") return No("an aggregate but SUM and AVERAGE");
  } else if (attribute.name == "post_transform") {
    ensemble.transform = TransformOf(attribute.text);
  } else if (attribute.name == "classlabels_strings") {
    ensemble.texts.assign(attribute.strings.begin(), attribute.strings.end());
  } else if (attribute.name != "nodes_hitrates") {  // for people, as the operator says
    return No(fmt::format("the attribute {}", attribute.name));
  }
  return {};
}

struct Node {
  std::string_view domain;
  std::string_view name;
  std::string_view operation;
  std::vector<std::string_view> inputs;
  std::vector<std::string_view> outputs;
  std::vector<std::string_view> attributes;
};

Result<Node> ReadNode(std::string_view bytes) {
  Node out;
  ProtoReader reader(bytes);
  while (!reader.AtEnd()) {
    TRY(const ProtoField field, reader.Next());
    if (!field.is_bytes) continue;
    if (field.number == kNodeInput) out.inputs.push_back(field.bytes);
    if (field.number == kNodeOutput) out.outputs.push_back(field.bytes);
    if (field.number == kNodeName) out.name = field.bytes;
    if (field.number == kNodeOperator) out.operation = field.bytes;
    if (field.number == kNodeAttribute) out.attributes.push_back(field.bytes);
    if (field.number == kNodeDomain) out.domain = field.bytes;
  }
  return out;
}

// The node of `node`'s ensemble, which is number `index`.
std::string ForestNode(const Node& node, std::size_t index) {
  std::string out;
  for (std::string_view input : node.inputs) AppendBytesField(kNodeInput, input, out);
  for (std::string_view output : node.outputs) AppendBytesField(kNodeOutput, output, out);
  AppendBytesField(kNodeName, node.name, out);
  AppendBytesField(kNodeOperator, fmt::format("Forest{}", index), out);
  AppendBytesField(kNodeDomain, kForestDomain, out);
  return out;
}

bool IsEnsemble(const Node& node) {
  return node.domain == "ai.onnx.ml" &&
         (node.operation == "TreeEnsembleRegressor" || node.operation == "TreeEnsembleClassifier" ||
          node.operation == "TreeEnsemble");
}

Result<AnyForest> ReadNewer(const Node& node) {
  NewerEnsemble ensemble;
  for (std::string_view bytes : node.attributes) {
    TRY(const NodeAttribute attribute, NodeAttribute::Read(bytes));
    TRY(ensemble.Take(attribute));
  }
  if (node.inputs.size() != 1 || node.outputs.size() != 1) return No("other inputs or outputs");
  TRY(const TreeEnsemble older, ensemble.AsOlder());
  TRY(Forest made, Forest::Of(older));
  return made;
}

Result<AnyForest> ReadEnsemble(const Node& node) {
  if (node.operation == "TreeEnsemble") return ReadNewer(node);
  TreeEnsemble ensemble;
  for (std::string_view bytes : node.attributes) {
    TRY(NodeAttribute attribute, NodeAttribute::Read(bytes));
    if (attribute.tensor) return No("an attribute that is a tensor");
    TRY(TakeAttribute(std::move(attribute), ensemble));
  }
  const bool classifier = node.operation == "TreeEnsembleClassifier";
  if (node.inputs.size() != 1 || node.outputs.size() != (classifier ? 2 : 1)) {
    return No("other inputs or outputs");
  }
  if (classifier) {
    TRY(ForestClassifier made, ForestClassifier::Of(std::move(ensemble)));
    return made;
  }
  if (ensemble.transform != TreeEnsemble::Transform::kNone) {
    return No("a transformation after the trees");
  }
  TRY(Forest made, Forest::Of(ensemble));
  return made;
}

Result<std::string> TakeFromGraph(std::string_view graph, std::vector<AnyForest>& forests) {
  std::string out;
  ProtoReader reader(graph);
  while (!reader.AtEnd()) {
    const std::string_view before = reader.Rest();
    TRY(const ProtoField field, reader.Next());
    if (field.number == kGraphNode && field.is_bytes) {
      TRY(const Node node, ReadNode(field.bytes));
      if (IsEnsemble(node)) {
        TRY(AnyForest forest, ReadEnsemble(node));
        forests.push_back(std::move(forest));
        AppendBytesField(kGraphNode, ForestNode(node, forests.size() - 1), out);
        continue;
      }
    }
    out += before.substr(0, before.size() - reader.Rest().size());
  }
  return out;
}

// Looks without copying: most models hold weights and no trees.
Result<bool> HasEnsemble(std::string_view model) {
  ProtoReader reader(model);
  while (!reader.AtEnd()) {
    TRY(const ProtoField field, reader.Next());
    if (field.number != kModelGraph || !field.is_bytes) continue;
    ProtoReader graph(field.bytes);
    while (!graph.AtEnd()) {
      TRY(const ProtoField entry, graph.Next());
      if (entry.number != kGraphNode || !entry.is_bytes) continue;
      TRY(const Node node, ReadNode(entry.bytes));
      if (IsEnsemble(node)) return true;
    }
  }
  return false;
}

}  // namespace

Result<ModelForests> FindForests(std::string_view model) {
  TRY(const bool any, HasEnsemble(model));
  if (!any) return No("no tree ensemble");
  ModelForests out;
  ProtoReader reader(model);
  while (!reader.AtEnd()) {
    const std::string_view before = reader.Rest();
    TRY(const ProtoField field, reader.Next());
    if (field.number == kModelGraph && field.is_bytes) {
      TRY(const std::string graph, TakeFromGraph(field.bytes, out.forests));
      AppendBytesField(kModelGraph, graph, out.model);
    } else {
      out.model += before.substr(0, before.size() - reader.Rest().size());
    }
  }
  std::string opset;
  AppendBytesField(1, kForestDomain, opset);
  AppendNumberField(2, 1, opset);
  AppendBytesField(kModelOpset, opset, out.model);
  return out;
}

}  // namespace samovar
