#include "models/forest_ops.h"

#include <fmt/format.h>

#include <array>
#include <span>
#include <string>
#include <utility>

namespace samovar {

// ONNX Runtime hands the structure that it was given to each of the functions in it.
struct ForestOps::Op : OrtCustomOp {
  Op(std::string given, AnyForest trees)
      : OrtCustomOp{}, name(std::move(given)), forest(std::move(trees)) {}
  const ForestClassifier* Classifier() const { return std::get_if<ForestClassifier>(&forest); }
  std::string name;
  AnyForest forest;
};

namespace {

constexpr auto kFloat = ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT;

OrtStatus* Refuse(const std::string& message) {
  return Ort().CreateStatus(ORT_INVALID_ARGUMENT, message.c_str());
}

// Rows and features of a matrix.
Result<std::array<std::int64_t, 2>> MatrixShape(const OrtValue* value) {
  TRY(auto info, Made<OrtTensorTypeAndShapeInfo>(
                     [&](auto** out) { return Ort().GetTensorTypeAndShape(value, out); }));
  std::size_t rank = 0;
  TRY(Checked(Ort().GetDimensionsCount(info.get(), &rank)));
  if (rank != 2) return Fail(Code::kInvalid, fmt::format("trees take a matrix, not rank {}", rank));
  std::array<std::int64_t, 2> shape{};
  TRY(Checked(Ort().GetDimensions(info.get(), shape.data(), 2)));
  return shape;
}

Result<OrtValue*> Output(OrtKernelContext* context, std::size_t index,
                         std::span<const std::int64_t> shape) {
  OrtValue* out = nullptr;
  TRY(Checked(Ort().KernelContext_GetOutput(context, index, shape.data(), shape.size(), &out)));
  return out;
}

template <class T>
Result<T*> Data(OrtValue* value) {
  void* data = nullptr;
  TRY(Checked(Ort().GetTensorMutableData(value, &data)));
  return static_cast<T*>(data);
}

Result<void> Classify(const ForestClassifier& classifier, const float* x, std::size_t stride,
                      std::int64_t rows, OrtValue* labels, float* scores) {
  const auto count = static_cast<std::size_t>(rows);
  if (classifier.Texts().empty()) {
    TRY(std::int64_t* to, Data<std::int64_t>(labels));
    classifier.Predict(x, count, stride, to, scores);
    return {};
  }
  std::vector<std::int64_t> indexes(count);
  classifier.Predict(x, count, stride, indexes.data(), scores);
  std::vector<const char*> texts;
  for (std::int64_t index : indexes) {
    texts.push_back(classifier.Texts()[static_cast<std::size_t>(index)].c_str());
  }
  return Checked(Ort().FillStringTensor(labels, texts.data(), texts.size()));
}

Result<void> Compute(const AnyForest& any, OrtKernelContext* context) {
  const Forest& trees = TreesOf(any);
  const OrtValue* in = nullptr;
  TRY(Checked(Ort().KernelContext_GetInput(context, 0, &in)));
  TRY(const auto shape, MatrixShape(in));
  const auto stride = static_cast<std::size_t>(shape[1]);
  if (stride < trees.Width()) {
    return Fail(Code::kInvalid,
                fmt::format("the trees look at feature {}, and a row has {} features",
                            trees.Width() - 1, stride));
  }
  const void* data = nullptr;
  TRY(Checked(Ort().GetTensorData(in, &data)));
  const auto* x = static_cast<const float*>(data);
  const auto* classifier = std::get_if<ForestClassifier>(&any);
  const std::array out_shape{shape[0], static_cast<std::int64_t>(trees.Targets())};
  TRY(OrtValue * out, Output(context, classifier != nullptr ? 1 : 0, out_shape));
  TRY(float* scores, Data<float>(out));
  if (classifier == nullptr) {
    trees.Predict(x, static_cast<std::size_t>(shape[0]), stride, scores);
    return {};
  }
  TRY(OrtValue * labels, Output(context, 0, std::span(shape).first(1)));
  return Classify(*classifier, x, stride, shape[0], labels, scores);
}

}  // namespace

ForestOps::ForestOps() = default;
ForestOps::ForestOps(ForestOps&&) noexcept = default;
ForestOps& ForestOps::operator=(ForestOps&&) noexcept = default;
ForestOps::~ForestOps() = default;

Result<ForestOps> ForestOps::Of(std::vector<AnyForest> forests) {
  ForestOps made;
  TRY(made.domain_, Made<OrtCustomOpDomain>([](OrtCustomOpDomain** out) {
        return Ort().CreateCustomOpDomain(kForestDomain, out);
      }));
  for (AnyForest& forest : forests) {
    Op& op = *made.ops_.emplace_back(
        std::make_unique<Op>(fmt::format("Forest{}", made.ops_.size()), std::move(forest)));
    op.version = ORT_API_VERSION;
    op.GetName = [](const OrtCustomOp* self) { return static_cast<const Op*>(self)->name.c_str(); };
    op.GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
    op.GetInputTypeCount = [](const OrtCustomOp*) -> std::size_t { return 1; };
    op.GetOutputTypeCount = [](const OrtCustomOp* self) -> std::size_t {
      return static_cast<const Op*>(self)->Classifier() != nullptr ? 2 : 1;
    };
    op.GetInputType = [](const OrtCustomOp*, std::size_t) { return kFloat; };
    op.GetOutputType = [](const OrtCustomOp* self, std::size_t index) {
      const ForestClassifier* classifier = static_cast<const Op*>(self)->Classifier();
      if (classifier == nullptr || index == 1) return kFloat;
      return classifier->Texts().empty() ? ONNX_TENSOR_ELEMENT_DATA_TYPE_INT64
                                         : ONNX_TENSOR_ELEMENT_DATA_TYPE_STRING;
    };
    op.GetInputCharacteristic = [](const OrtCustomOp*, std::size_t) {
      return INPUT_OUTPUT_REQUIRED;
    };
    op.GetOutputCharacteristic = op.GetInputCharacteristic;
    op.GetInputMemoryType = [](const OrtCustomOp*, std::size_t) { return OrtMemTypeDefault; };
    op.GetStartVersion = [](const OrtCustomOp*) { return 1; };
    op.GetEndVersion = [](const OrtCustomOp*) { return 1; };
    op.CreateKernelV2 = [](const OrtCustomOp* self, const OrtApi*, const OrtKernelInfo*,
                           void** kernel) -> OrtStatus* {
      *kernel = const_cast<OrtCustomOp*>(self);  // there is no other state
      return nullptr;
    };
    op.KernelDestroy = [](void*) {};
    op.KernelComputeV2 = [](void* kernel, OrtKernelContext* context) -> OrtStatus* {
      const auto* self = static_cast<const Op*>(static_cast<OrtCustomOp*>(kernel));
      auto done = Compute(self->forest, context);
      return done ? nullptr : Refuse(done.error().message);
    };
    TRY(Checked(Ort().CustomOpDomain_Add(made.domain_.get(), &op)));
  }
  return made;
}

std::vector<const Forest*> ForestOps::Forests() const {
  std::vector<const Forest*> all;
  for (const auto& op : ops_) all.push_back(&TreesOf(op->forest));
  return all;
}

Result<void> ForestOps::AddTo(OrtSessionOptions* options) const {
  return Checked(Ort().AddCustomOpDomain(options, domain_.get()));
}

}  // namespace samovar
