#include "models/onnx_model.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <map>
#include <optional>

#include "models/empty_sequence.h"
#include "models/forest_file.h"
#include "models/forest_ops.h"
#include "models/mapped_model.h"
#include "models/ort.h"
#include "models/ort_values.h"

namespace samovar {

struct OnnxModel::Session {
  std::optional<ForestOps> forests;  // outlives the session
  OrtOwned<OrtEnv> env;
  OrtOwned<OrtSession> session;
  OrtOwned<OrtMemoryInfo> memory;
  OrtOwned<OrtRunOptions> run_options;
  std::map<ElementType, OrtOwned<OrtValue>> empty_sequences;  // those that requests brought
  std::atomic<bool> interrupted = false;
};

namespace {

constexpr const char* kLoadFailed = "Model.LoadFailed";
constexpr const char* kCpuProvider = "CPUExecutionProvider";

Error Named(Error error, std::string_view name) {
  error.name = name;
  return error;
}

Result<std::vector<std::string>> AvailableProviders() {
  char** names = nullptr;
  int count = 0;
  TRY(Checked(Ort().GetAvailableProviders(&names, &count)));
  std::vector<std::string> list(names, names + count);
  TRY(Checked(Ort().ReleaseAvailableProviders(names, count)));
  return list;
}

// "CUDAExecutionProvider" and "cuda" are the same.
std::string FullProviderName(const std::string& name, const std::vector<std::string>& known) {
  auto lower = [](std::string text) {
    std::ranges::transform(text, text.begin(), [](unsigned char c) { return std::tolower(c); });
    return text;
  };
  for (const std::string& full : known) {
    if (lower(full) == lower(name) || lower(full) == lower(name) + "executionprovider") return full;
  }
  return "";
}

Result<void> AddProviders(OrtSessionOptions* session, const ModelOptions& options) {
  TRY(const auto known, AvailableProviders());
  for (const std::string& name : options.providers) {
    const std::string full = FullProviderName(name, known);
    if (full.empty()) {
      return Fail(Code::kInvalid,
                  fmt::format("the execution provider {} is not on this host; there is {}", name,
                              fmt::join(known, ", ")),
                  "Model.NoSuchProvider");
    }
    if (full == kCpuProvider) continue;  // always the last resort
    const std::string brief = full.substr(0, full.find("ExecutionProvider"));
    auto added = Checked(
        Ort().SessionOptionsAppendExecutionProvider(session, brief.c_str(), nullptr, nullptr, 0));
    if (!added) return std::unexpected(Named(added.error(), "Model.NoSuchProvider"));
  }
  return {};
}

Result<OrtOwned<OrtSessionOptions>> MakeOptions(const ModelOptions& options) {
  TRY(auto made, Made<OrtSessionOptions>(Ort().CreateSessionOptions));
  TRY(Checked(Ort().SetIntraOpNumThreads(made.get(), std::max(1, options.threads))));
  TRY(Checked(Ort().SetInterOpNumThreads(made.get(), 1)));
  TRY(Checked(Ort().SetSessionExecutionMode(made.get(), ORT_SEQUENTIAL)));
  TRY(Checked(Ort().SetSessionGraphOptimizationLevel(made.get(), ORT_ENABLE_ALL)));
  // Threads that wait for work must not burn the function's share of the CPU.
  TRY(Checked(Ort().AddSessionConfigEntry(made.get(), "session.intra_op.allow_spinning", "0")));
  TRY(AddProviders(made.get(), options));
  return made;
}

bool IsEmptySequence(const Value& value) {
  return value.kind == Value::Kind::kSequence && value.items.empty();
}

using CountOf = OrtStatus* (*)(const OrtSession*, std::size_t*);
using NameOf = OrtStatus* (*)(const OrtSession*, std::size_t, OrtAllocator*, char**);
using TypeOf = OrtStatus* (*)(const OrtSession*, std::size_t, OrtTypeInfo**);

Result<void> DescribeAll(const OrtSession* session, std::string_view what, CountOf count_of,
                         NameOf name_of, TypeOf type_of, std::vector<ValueInfo>& out) {
  std::size_t count = 0;
  TRY(Checked(count_of(session, &count)));
  for (std::size_t i = 0; i < count; ++i) {
    char* name = nullptr;
    TRY(Checked(name_of(session, i, DefaultAllocator(), &name)));
    const std::string kept = name;
    DefaultAllocator()->Free(DefaultAllocator(), name);
    TRY(auto type, Made<OrtTypeInfo>([&](auto** made) { return type_of(session, i, made); }));
    auto info = DescribeType(type.get());
    if (!info) {
      return Fail(Code::kUnsupported,
                  fmt::format("{} \"{}\": {}", what, kept, info.error().message));
    }
    info->name = kept;
    out.push_back(std::move(*info));
  }
  return {};
}

}  // namespace

OnnxModel::OnnxModel(std::unique_ptr<Session> session) : session_(std::move(session)) {}
OnnxModel::~OnnxModel() = default;

template <class Create>
Result<std::unique_ptr<OnnxModel>> OnnxModel::Open(const ModelOptions& options,
                                                   std::unique_ptr<Session> session,
                                                   Create create) {
  // The library reports on its use, from a thread of its own; a worker must do neither.
  ::setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  TRY(session->env, Made<OrtEnv>([](OrtEnv** out) {
        return Ort().CreateEnv(ORT_LOGGING_LEVEL_ERROR, "samovar", out);
      }));
  TRY(auto made, MakeOptions(options));
  if (session->forests) TRY(session->forests->AddTo(made.get()));
  TRY(session->session, Made<OrtSession>([&](OrtSession** out) {
        return create(session->env.get(), made.get(), out);
      }));
  TRY(session->memory, Made<OrtMemoryInfo>([](OrtMemoryInfo** out) {
        return Ort().CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, out);
      }));
  TRY(session->run_options, Made<OrtRunOptions>(Ort().CreateRunOptions));
  std::unique_ptr<OnnxModel> model(new OnnxModel(std::move(session)));
  TRY(model->Describe());
  return model;
}

Result<std::unique_ptr<OnnxModel>> OnnxModel::Load(const std::string& path,
                                                   const ModelOptions& options) {
  auto loaded = Open(options, std::make_unique<Session>(),
                     [&](const OrtEnv* env, const OrtSessionOptions* made, OrtSession** out) {
                       return Ort().CreateSession(env, path.c_str(), made, out);
                     });
  if (!loaded && loaded.error().name.empty()) {
    return std::unexpected(Named(std::move(loaded.error()), kLoadFailed));
  }
  return loaded;
}

Result<std::unique_ptr<OnnxModel>> OnnxModel::LoadForests(const std::string& path,
                                                          const ModelOptions& options) {
  TRY(const MappedModel file, MappedModel::Of(path));
  TRY(ModelForests found, FindForests(file.Bytes()));
  auto session = std::make_unique<Session>();
  TRY(session->forests, ForestOps::Of(std::move(found.forests)));
  return Open(options, std::move(session),
              [&](const OrtEnv* env, const OrtSessionOptions* made, OrtSession** out) {
                return Ort().CreateSessionFromArray(env, found.model.data(), found.model.size(),
                                                    made, out);
              });
}

Result<void> OnnxModel::Describe() {
  const OrtApi& ort = Ort();
  const OrtSession* session = session_->session.get();
  TRY(DescribeAll(session, "input", ort.SessionGetInputCount, ort.SessionGetInputName,
                  ort.SessionGetInputTypeInfo, inputs_));
  const std::size_t required = inputs_.size();
  TRY(DescribeAll(session, "input", ort.SessionGetOverridableInitializerCount,
                  ort.SessionGetOverridableInitializerName,
                  ort.SessionGetOverridableInitializerTypeInfo, inputs_));
  for (std::size_t i = required; i < inputs_.size(); ++i) inputs_[i].has_default = true;
  return DescribeAll(session, "output", ort.SessionGetOutputCount, ort.SessionGetOutputName,
                     ort.SessionGetOutputTypeInfo, outputs_);
}

std::vector<const Forest*> OnnxModel::Forests() const {
  if (!session_->forests) return {};
  return session_->forests->Forests();
}

Result<const OrtValue*> OnnxModel::EmptySequenceOf(ElementType type) {
  OrtOwned<OrtValue>& kept = session_->empty_sequences[type];
  if (!kept) {
    TRY(auto options, MakeOptions({}));
    TRY(kept, EmptySequence(session_->env.get(), options.get(), type));
  }
  return kept.get();
}

Result<std::vector<Value>> OnnxModel::Run(std::vector<Value>& inputs,
                                          const std::vector<std::size_t>& wanted) {
  std::vector<const char*> names;
  std::vector<OrtOwned<OrtValue>> owned;
  std::vector<const OrtValue*> values;
  for (std::size_t i = 0; i < inputs.size(); ++i) {
    if (inputs[i].kind == Value::Kind::kNone) continue;
    names.push_back(inputs_[i].name.c_str());
    if (IsEmptySequence(inputs[i])) {
      TRY(values.emplace_back(), EmptySequenceOf(inputs_[i].type));
      continue;
    }
    TRY(owned.emplace_back(), ToOrt(inputs[i], session_->memory.get()));
    values.push_back(owned.back().get());
  }
  std::vector<const char*> output_names;
  for (std::size_t i : wanted) output_names.push_back(outputs_[i].name.c_str());
  std::vector<OrtValue*> raw(wanted.size(), nullptr);
  auto ran = Checked(Ort().Run(session_->session.get(), session_->run_options.get(), names.data(),
                               values.data(), values.size(), output_names.data(), wanted.size(),
                               raw.data()));
  std::vector<OrtOwned<OrtValue>> outputs;
  for (OrtValue* value : raw) outputs.emplace_back(value);
  if (!ran && session_->interrupted) {
    return Fail(Code::kTimeout, "the run was ended: its time was up");
  }
  if (!ran) return std::unexpected(std::move(ran.error()));
  std::vector<Value> results;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    TRY(results.emplace_back(), FromOrt(outputs[i].get()));
  }
  return results;
}

void OnnxModel::Interrupt() {
  session_->interrupted = true;
  // Sets one flag, and allocates nothing: safe in a signal handler.
  static_cast<void>(Ort().RunOptionsSetTerminate(session_->run_options.get()));
}

void OnnxModel::Resume() {
  if (!session_->interrupted.exchange(false)) return;
  static_cast<void>(Ort().RunOptionsUnsetTerminate(session_->run_options.get()));
}

}  // namespace samovar
