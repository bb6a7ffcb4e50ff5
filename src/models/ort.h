#pragma once
// ONNX Runtime's C API with owners and errors of ours. Included by the files that call it, and by
// no header.
// Errors   What ONNX Runtime refuses is kInvalid with its own reason (ort_reason.h).

#include <onnxruntime_c_api.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "models/ort_reason.h"

namespace samovar {

inline const OrtApi& Ort() {
  static const OrtApi& api = *OrtGetApiBase()->GetApi(ORT_API_VERSION);
  return api;
}

struct OrtRelease {
  void operator()(OrtEnv* p) const { Ort().ReleaseEnv(p); }
  void operator()(OrtSession* p) const { Ort().ReleaseSession(p); }
  void operator()(OrtSessionOptions* p) const { Ort().ReleaseSessionOptions(p); }
  void operator()(OrtRunOptions* p) const { Ort().ReleaseRunOptions(p); }
  void operator()(OrtMemoryInfo* p) const { Ort().ReleaseMemoryInfo(p); }
  void operator()(OrtCustomOpDomain* p) const { Ort().ReleaseCustomOpDomain(p); }
  void operator()(OrtValue* p) const { Ort().ReleaseValue(p); }
  void operator()(OrtTypeInfo* p) const { Ort().ReleaseTypeInfo(p); }
  void operator()(OrtTensorTypeAndShapeInfo* p) const { Ort().ReleaseTensorTypeAndShapeInfo(p); }
};
template <class T>
using OrtOwned = std::unique_ptr<T, OrtRelease>;

// Takes the status.
inline Result<void> Checked(OrtStatus* status) {
  if (status == nullptr) return {};
  std::string reason = OrtReason(Ort().GetErrorMessage(status));
  Ort().ReleaseStatus(status);
  return Fail(Code::kInvalid, std::move(reason));
}

// What a call of the form `OrtStatus* F(..., T** out)` makes: Made<OrtEnv>([](auto** out) {...}).
template <class T, class Call>
Result<OrtOwned<T>> Made(Call call) {
  T* made = nullptr;
  TRY(Checked(call(&made)));
  return OrtOwned<T>(made);
}

inline OrtAllocator* DefaultAllocator() {
  OrtAllocator* allocator = nullptr;
  // Cannot fail: the allocator is a static object.
  if (auto got = Checked(Ort().GetAllocatorWithDefaultOptions(&allocator)); !got) return nullptr;
  return allocator;
}

}  // namespace samovar
