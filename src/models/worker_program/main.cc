// samovar-onnx: the program that runs a model inside its sandbox. It speaks the channel at
// descriptor 3 (docs/formats/channel.md), and is described in docs/models.md.

#include <fmt/format.h>
#include <onnxruntime_c_api.h>
#include <samovar_clone.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>

#include "models/frame_socket.h"
#include "models/model_package.h"
#include "models/worker_loop.h"
#include "wire/channel.h"

namespace samovar {
namespace {

constexpr int kChannel = 3;

std::string Environment(const char* name, const char* otherwise) {
  const char* value = std::getenv(name);
  return value == nullptr || *value == '\0' ? otherwise : value;
}

PackageOptions OptionsFromEnvironment() {
  PackageOptions options;
  options.folder = Environment("LAMBDA_TASK_ROOT", "/var/task");
  // A handler may name the file; whatever else it says means nothing for a model.
  const std::string handler = Environment("_HANDLER", "");
  if (handler.ends_with(".onnx")) options.file = handler;
  options.name = Environment("AWS_LAMBDA_FUNCTION_NAME", "model");
  options.version = Environment("AWS_LAMBDA_FUNCTION_VERSION", "1");
  return options;
}

// Says READY; returns in an instance, which may be a clone of this process.
void BecomeTemplate(const ModelPackage& package) {
  const std::string runtime = fmt::format("onnxruntime{}", OrtGetApiBase()->GetVersionString());
  samovar_template about{runtime.c_str(), package.settings.outstanding, nullptr, nullptr};
  std::string problem;
  if (!package.random.empty()) {
    problem = fmt::format("the model draws random numbers ({}), which clones would share",
                          package.random);
    about.problem = problem.c_str();
    about.remedy = "take the operator out, if its draws are not needed";
  } else if (package.settings.threads > 1) {
    problem = fmt::format("samovar.yaml gives it {} threads", package.settings.threads);
    about.problem = problem.c_str();
    about.remedy = "threads: 1";
  }
  samovar_template_ready_with(&about);
}

int Main() {
  FrameSocket socket(kChannel);
  const auto began = std::chrono::steady_clock::now();
  auto package = OpenModelPackage(OptionsFromEnvironment());
  if (!package) {
    fmt::print(stderr, "{}: {}\n", ErrorType(package.error()), package.error().message);
    socket.Append(static_cast<std::uint8_t>(FrameType::kInitError), ErrorType(package.error()),
                  ErrorJson(package.error()));
    static_cast<void>(socket.Flush());
    return 1;
  }
  const auto took =
      std::chrono::duration<double, std::milli>(std::chrono::steady_clock::now() - began);
  fmt::print(stderr, "model loaded in {:.1f} ms; batching is {}; trees are walked by {}\n",
             took.count(), (*package)->batching, (*package)->trees);
  BecomeTemplate(**package);
  // Its timer is this process's own, so it is made after.
  auto ran = WorkerLoop(socket, **package, samovar_template_answered).Run();
  if (ran || ran.error().code == Code::kUnavailable) return 0;
  fmt::print(stderr, "{}\n", ran.error().message);
  return 1;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  if (argc == 2 && std::string_view(argv[1]) == "--version") {
    fmt::print("{}\n", OrtGetApiBase()->GetVersionString());
    return 0;
  }
  return samovar::Main();
}
