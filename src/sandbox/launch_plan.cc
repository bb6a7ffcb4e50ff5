#include "sandbox/launch_plan.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>

namespace samovar {
namespace {

constexpr double kMebibytesPerCpu = 1769;
constexpr const char* kSystemPath = "/usr/local/bin:/usr/bin:/bin";

// "2026/11/24/[7]1f0c...": a day, a version, and hex digits of the instance.
std::string LogStream(const Version& version, const std::string& id, WallTime now) {
  std::string digits;
  for (char c : id) {
    if (c != '-') digits += c;
  }
  return fmt::format("{:%Y/%m/%d}/[{}]{}", now, version.number, digits);
}

std::string LayerPath(const Version& version, std::string_view under) {
  return version.layer_dirs.empty() ? "" : fmt::format("/opt/{}", under);
}

void AddPlatform(std::map<std::string, std::string>& env, const Version& version,
                 const std::string& id, WallTime now, const LaunchOptions& options) {
  env["AWS_LAMBDA_FUNCTION_NAME"] = version.function;
  env["AWS_LAMBDA_FUNCTION_VERSION"] = version.number;
  env["AWS_LAMBDA_FUNCTION_MEMORY_SIZE"] = std::to_string(version.memory.WholeMiB());
  env["AWS_LAMBDA_LOG_GROUP_NAME"] = version.log_group;
  env["AWS_LAMBDA_LOG_STREAM_NAME"] = LogStream(version, id, now);
  env["AWS_LAMBDA_INITIALIZATION_TYPE"] = "on-demand";
  env["AWS_REGION"] = options.region;
  env["AWS_DEFAULT_REGION"] = options.region;
  // A function has no credentials of its own here; clients in it want to see some.
  env["AWS_ACCESS_KEY_ID"] = "samovar";
  env["AWS_SECRET_ACCESS_KEY"] = "samovar";
  env["AWS_SESSION_TOKEN"] = "samovar";
  if (version.log_format == "JSON") env["AWS_LAMBDA_LOG_FORMAT"] = "JSON";
  env["LAMBDA_TASK_ROOT"] = "/var/task";
  env["LAMBDA_RUNTIME_DIR"] = "/var/runtime";
  env["_HANDLER"] = version.handler;
  env["LD_LIBRARY_PATH"] =
      version.layer_dirs.empty() ? "/var/task:/var/task/lib" : "/var/task:/var/task/lib:/opt/lib";
  env["PATH"] = version.layer_dirs.empty() ? kSystemPath : fmt::format("{}:/opt/bin", kSystemPath);
}

// Defaults that the user's own variables replace.
void AddDefaults(std::map<std::string, std::string>& env, const Version& version) {
  env["TZ"] = ":UTC";
  env["LANG"] = "C.UTF-8";
  env["HOME"] = "/tmp";
  // Numeric libraries start a thread a core of the host; the function has a share of them.
  const auto threads = std::max<std::uint64_t>(
      1, static_cast<std::uint64_t>(
             static_cast<double>(version.memory.WholeMiB()) / kMebibytesPerCpu + 0.5));
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}) {
    env[name] = std::to_string(threads);
  }
}

void PlanPython(SandboxSpec& spec, std::map<std::string, std::string>& env, const Version& version,
                const Runtime& runtime) {
  spec.argv = {runtime.interpreter, "/var/runtime/samovar_runtime.py"};
  spec.channel = true;
  env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + version.runtime;
  if (!version.layer_dirs.empty()) env["SAMOVAR_LAYERS"] = "/opt";
}

void PlanNode(SandboxSpec& spec, std::map<std::string, std::string>& env, const Version& version,
              const Runtime& runtime) {
  spec.argv = {runtime.interpreter, "/var/runtime/index.mjs"};
  spec.channel = true;
  env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + version.runtime;
  const std::string layers = LayerPath(version, "nodejs/node_modules");
  env["NODE_PATH"] = layers.empty() ? "/var/task/node_modules" : "/var/task/node_modules:" + layers;
}

bool Exists(const std::string& path) {
  std::error_code ignored;
  return std::filesystem::exists(path, ignored);
}

Result<void> PlanProvided(SandboxSpec& spec, std::map<std::string, std::string>& env,
                          const Version& version) {
  std::string bootstrap;
  if (Exists(version.code_dir + "/bootstrap")) bootstrap = "/var/task/bootstrap";
  for (const std::string& layer : version.layer_dirs) {
    if (bootstrap.empty() && Exists(layer + "/bootstrap")) bootstrap = "/opt/bootstrap";
  }
  if (bootstrap.empty()) {
    return Fail(Code::kInvalid,
                "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
                "Runtime.InvalidEntrypoint");
  }
  spec.argv = {bootstrap};
  spec.runtime_api = true;
  env["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:9001";
  env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + version.runtime;
  return {};
}

}  // namespace

Result<SandboxSpec> PlanLaunch(const Version& version, const Runtime& runtime,
                               const std::string& instance_id, WallTime now,
                               const LaunchOptions& options) {
  SandboxSpec spec;
  spec.id = instance_id;
  spec.memory = version.memory;
  spec.tmp_size = version.tmp_size;
  spec.cpus = static_cast<double>(version.memory.WholeMiB()) / kMebibytesPerCpu;
  spec.network =
      version.egress || options.egress_by_default ? Network::kEgress : Network::kLoopback;
  spec.mounts.push_back({version.code_dir, "/var/task", {}});
  if (!version.layer_dirs.empty()) {
    spec.mounts.push_back({version.layer_dirs.front(),
                           "/opt",
                           {version.layer_dirs.begin() + 1, version.layer_dirs.end()}});
  }
  for (const std::string& folder : runtime.mounts) spec.mounts.push_back({folder, folder, {}});

  std::map<std::string, std::string> env;
  AddDefaults(env, version);
  for (const auto& [name, value] : version.environment) env[name] = value;
  AddPlatform(env, version, instance_id, now, options);
  switch (runtime.kind) {
    case Runtime::Kind::kPython:
      PlanPython(spec, env, version, runtime);
      spec.mounts.push_back({options.runtimes_dir + "/python", "/var/runtime", {}});
      break;
    case Runtime::Kind::kNode:
      PlanNode(spec, env, version, runtime);
      spec.mounts.push_back({options.runtimes_dir + "/nodejs", "/var/runtime", {}});
      break;
    case Runtime::Kind::kProvided:
      TRY(PlanProvided(spec, env, version));
      break;
  }
  // These few of the user's own count more than ours, as on Lambda.
  for (const char* name : {"PATH", "LD_LIBRARY_PATH", "NODE_PATH"}) {
    if (auto own = version.environment.find(name); own != version.environment.end()) {
      env[name] = own->second;
    }
  }
  if (auto wrapper = env.find("AWS_LAMBDA_EXEC_WRAPPER"); wrapper != env.end()) {
    spec.argv.insert(spec.argv.begin(), wrapper->second);
  }
  for (const auto& [name, value] : env) spec.env.push_back(name + "=" + value);
  return spec;
}

}  // namespace samovar
