#include "models/forest_ops.h"

#include <fmt/format.h>

#include <array>
#include <string>
#include <utility>

#include "models/forest_file.h"

namespace samovar {

// ONNX Runtime hands the structure that it was given to each of the functions in it.
struct ForestOps::Op : OrtCustomOp {
  Op(std::string given, Forest trees)
      : OrtCustomOp{}, name(std::move(given)), forest(std::move(trees)) {}
  std::string name;
  Forest forest;
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

Result<void> Compute(const Forest& forest, OrtKernelContext* context) {
  const OrtValue* in = nullptr;
  TRY(Checked(Ort().KernelContext_GetInput(context, 0, &in)));
  TRY(const auto shape, MatrixShape(in));
  const auto stride = static_cast<std::size_t>(shape[1]);
  if (stride < forest.Width()) {
    return Fail(Code::kInvalid,
                fmt::format("the trees look at feature {}, and a row has {} features",
                            forest.Width() - 1, stride));
  }
  const void* x = nullptr;
  TRY(Checked(Ort().GetTensorData(in, &x)));
  const std::int64_t out_shape[] = {shape[0], static_cast<std::int64_t>(forest.Targets())};
  OrtValue* out = nullptr;
  TRY(Checked(Ort().KernelContext_GetOutput(context, 0, out_shape, 2, &out)));
  void* y = nullptr;
  TRY(Checked(Ort().GetTensorMutableData(out, &y)));
  forest.Predict(static_cast<const float*>(x), static_cast<std::size_t>(shape[0]), stride,
                 static_cast<float*>(y));
  return {};
}

}  // namespace

ForestOps::ForestOps() = default;
ForestOps::ForestOps(ForestOps&&) noexcept = default;
ForestOps& ForestOps::operator=(ForestOps&&) noexcept = default;
ForestOps::~ForestOps() = default;

Result<ForestOps> ForestOps::Of(std::vector<Forest> forests) {
  ForestOps made;
  TRY(made.domain_, Made<OrtCustomOpDomain>([](OrtCustomOpDomain** out) {
        return Ort().CreateCustomOpDomain(kForestDomain, out);
      }));
  for (Forest& forest : forests) {
    Op& op = *made.ops_.emplace_back(
        std::make_unique<Op>(fmt::format("Forest{}", made.ops_.size()), std::move(forest)));
    op.version = ORT_API_VERSION;
    op.GetName = [](const OrtCustomOp* self) { return static_cast<const Op*>(self)->name.c_str(); };
    op.GetExecutionProviderType = [](const OrtCustomOp*) -> const char* { return nullptr; };
    op.GetInputTypeCount = [](const OrtCustomOp*) -> std::size_t { return 1; };
    op.GetOutputTypeCount = [](const OrtCustomOp*) -> std::size_t { return 1; };
    op.GetInputType = [](const OrtCustomOp*, std::size_t) { return kFloat; };
    op.GetOutputType = [](const OrtCustomOp*, std::size_t) { return kFloat; };
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
  for (const auto& op : ops_) all.push_back(&op->forest);
  return all;
}

Result<void> ForestOps::AddTo(OrtSessionOptions* options) const {
  return Checked(Ort().AddCustomOpDomain(options, domain_.get()));
}

}  // namespace samovar
