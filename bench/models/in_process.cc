// The limit of bench/models: one row through ONNX Runtime's C API in this process, on one thread.
//
//     in_process MODEL.onnx ROWS SECONDS    prints {"p50": us, "rate": calls a second}
#include <onnxruntime_c_api.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <iterator>
#include <vector>

namespace {

constexpr int kFeatures = 100;
const OrtApi* api = OrtGetApiBase()->GetApi(ORT_API_VERSION);

void Must(OrtStatus* status) {
  if (status == nullptr) return;
  std::fprintf(stderr, "%s\n", api->GetErrorMessage(status));
  std::exit(1);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  ::setenv("ORT_DISABLE_TELEMETRY", "1", 1);
  std::ifstream file(argv[2], std::ios::binary);
  const std::vector<char> rows{std::istreambuf_iterator<char>(file), {}};
  OrtEnv* env = nullptr;
  OrtSessionOptions* options = nullptr;
  OrtSession* session = nullptr;
  OrtMemoryInfo* memory = nullptr;
  Must(api->CreateEnv(ORT_LOGGING_LEVEL_ERROR, "limit", &env));
  Must(api->CreateSessionOptions(&options));
  Must(api->SetIntraOpNumThreads(options, 1));
  Must(api->CreateSession(env, argv[1], options, &session));
  Must(api->CreateCpuMemoryInfo(OrtArenaAllocator, OrtMemTypeDefault, &memory));
  constexpr std::size_t kRow = kFeatures * sizeof(float);
  const int64_t shape[] = {1, kFeatures};
  const char* const inputs[] = {"X"};
  const char* const outputs[] = {"variable"};
  std::vector<double> times;
  using Clock = std::chrono::steady_clock;
  const auto end = Clock::now() + std::chrono::duration<double>(std::atof(argv[3]));
  while (times.empty() || Clock::now() < end) {
    const auto at = rows.begin() + static_cast<long>(times.size() % (rows.size() / kRow) * kRow);
    std::vector<char> data(at, at + kRow);
    const auto begin = Clock::now();
    OrtValue* in = nullptr;
    OrtValue* out = nullptr;
    Must(api->CreateTensorWithDataAsOrtValue(memory, data.data(), data.size(), shape, 2,
                                             ONNX_TENSOR_ELEMENT_DATA_TYPE_FLOAT, &in));
    Must(api->Run(session, nullptr, inputs, &in, 1, outputs, 1, &out));
    api->ReleaseValue(out);
    api->ReleaseValue(in);
    times.push_back(std::chrono::duration<double, std::micro>(Clock::now() - begin).count());
  }
  double sum = 0;
  for (const double time : times) sum += time;
  std::nth_element(times.begin(), times.begin() + static_cast<long>(times.size() / 2), times.end());
  std::printf("{\"p50\": %.2f, \"rate\": %.0f}\n", times[times.size() / 2],
              1e6 * static_cast<double>(times.size()) / sum);
}
