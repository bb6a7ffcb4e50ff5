#include "sandbox/launch_plan.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <cmath>
#include <filesystem>
#include <map>

#include "sandbox/cpu_share.h"

namespace samovar {
namespace {

constexpr const char* kSystemPath = "/usr/local/bin:/usr/bin:/bin";
// As containers have it where their image says nothing.
constexpr const char* kImagePath = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
// A variable of the function's: "aws" runs the unmodified AWS client that its package brings.
constexpr const char* kClientVariable = "SAMOVAR_RUNTIME_CLIENT";
// Tells our Python runtime and our model worker to be templates.
constexpr const char* kTemplateVariable = "SAMOVAR_TEMPLATE";
// Tells our Node.js runtime that the function comes later.
constexpr const char* kGenericVariable = "SAMOVAR_GENERIC";
// Of the checker of packages: it holds the names of a package's files, of which there may be
// millions.
constexpr Bytes kCheckMemory = Bytes::MiB(1024);
using Environment = std::map<std::string, std::string>;

// "2026/11/24/[7]1f0c...": a day, a version, and hex digits of the instance.
std::string LogStream(const Version& version, const std::string& id, WallTime now) {
  std::string digits;
  for (char c : id) {
    if (c != '-') digits += c;
  }
  return fmt::format("{:%Y/%m/%d}/[{}]{}", now, version.number, digits);
}

void AddPlatform(Environment& env, const Version& version, const std::string& id, WallTime now,
                 const LaunchOptions& options) {
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
}

// Defaults that the user's own variables replace, as on Lambda.
void AddDefaults(Environment& env, const Version& version, const Runtime& runtime,
                 const LaunchOptions& options) {
  const bool layers = !version.layer_dirs.empty();
  env["TZ"] = ":UTC";
  env["LANG"] = "C.UTF-8";
  env["HOME"] = "/tmp";
  env["AWS_XRAY_CONTEXT_MISSING"] = "LOG_ERROR";
  env["LD_LIBRARY_PATH"] = layers ? "/var/task:/var/task/lib:/opt/lib" : "/var/task:/var/task/lib";
  // The interpreter's own folder first, so that `python3` in a program that the handler starts is
  // the one that runs the handler.
  std::string path =
      runtime.mounts.empty()
          ? kSystemPath
          : std::filesystem::path(runtime.interpreter).parent_path().string() + ":" + kSystemPath;
  env["PATH"] = layers ? path + ":/opt/bin" : path;
  if (version.log_format == "JSON") env["AWS_LAMBDA_LOG_LEVEL"] = "INFO";
  // Numeric libraries start a thread a core of the host; the function has a share of them.
  const auto share = std::lround(CpuShare(version.memory));
  const auto threads = std::clamp<long>(share, 1, std::max(1, options.host_cpus));
  for (const char* name : {"OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"}) {
    env[name] = std::to_string(threads);
  }
}

// Whether the function wants AWS's own client instead of our runtime.
Result<bool> WantsAwsClient(const Version& version) {
  const auto found = version.environment.find(kClientVariable);
  if (found == version.environment.end() || found->second == "samovar") return false;
  if (found->second == "aws") return true;
  return Fail(
      Code::kInvalid,
      fmt::format("{} is \"{}\"; it may be \"samovar\" or \"aws\"", kClientVariable, found->second),
      "Runtime.InvalidEntrypoint");
}

void SpeakRuntimeApi(SandboxSpec& spec, Environment& env) {
  spec.runtime_api = true;
  env["AWS_LAMBDA_RUNTIME_API"] = "127.0.0.1:9001";
}

Result<void> PlanPython(SandboxSpec& spec, Environment& env, const Version& version,
                        const Runtime& runtime, const LaunchOptions& options) {
  env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + version.runtime;
  const bool layers = !version.layer_dirs.empty();
  TRY(const bool aws, WantsAwsClient(version));
  if (aws) {
    spec.argv = {runtime.interpreter, "-m", "awslambdaric", version.handler};
    SpeakRuntimeApi(spec, env);
    if (layers && !env.contains("PYTHONPATH")) {
      env["PYTHONPATH"] =
          fmt::format("/opt/python/lib/{}/site-packages:/opt/python", version.runtime);
    }
    return {};
  }
  spec.argv = {runtime.interpreter, "/var/runtime/samovar_runtime.py"};
  spec.channel = true;
  spec.mounts.push_back({options.runtimes_dir + "/python", "/var/runtime", {}});
  if (layers) env["SAMOVAR_LAYERS"] = "/opt";
  return {};
}

Result<void> PlanNode(SandboxSpec& spec, Environment& env, const Version& version,
                      const Runtime& runtime, const LaunchOptions& options) {
  env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + version.runtime;
  if (!env.contains("NODE_PATH")) {
    const std::string major =
        version.runtime.substr(6, version.runtime.find('.') - 6);  // nodejsNN.x
    const std::string layers =
        version.layer_dirs.empty()
            ? ""
            : fmt::format(":/opt/nodejs/node{}/node_modules:/opt/nodejs/node_modules", major);
    env["NODE_PATH"] = "/var/task/node_modules" + layers + ":/var/runtime/lib";
  }
  spec.mounts.push_back({options.runtimes_dir + "/nodejs", "/var/runtime", {}});
  TRY(const bool aws, WantsAwsClient(version));
  if (aws) {
    spec.argv = {runtime.interpreter, "/var/task/node_modules/aws-lambda-ric/bin/index.mjs",
                 version.handler};
    SpeakRuntimeApi(spec, env);
    return {};
  }
  spec.argv = {runtime.interpreter, "/var/runtime/index.cjs"};
  spec.channel = true;
  return {};
}

// Our program with its library. What the package brings is data, so nothing is loaded from it.
void PlanOnnx(SandboxSpec& spec, Environment& env, const Version& version,
              const LaunchOptions& options) {
  env["AWS_EXECUTION_ENV"] = "AWS_Lambda_" + version.runtime;
  env.erase("LD_LIBRARY_PATH");
  spec.argv = {"/var/runtime/samovar-onnx"};
  spec.channel = true;
  spec.mounts.push_back({options.runtimes_dir + "/onnx", "/var/runtime", {}});
}

// A bootstrap as it is found: absent, there, or there and not to be executed.
enum class Program : std::uint8_t { kAbsent, kUnusable, kUsable };

Program Look(const std::string& path) {
  std::error_code ignored;
  const auto status = std::filesystem::status(path, ignored);
  if (!std::filesystem::exists(status)) return Program::kAbsent;
  using std::filesystem::perms;
  const auto execute = perms::owner_exec | perms::group_exec | perms::others_exec;
  const bool runs = (status.permissions() & execute) != perms::none;
  return std::filesystem::is_regular_file(status) && runs ? Program::kUsable : Program::kUnusable;
}

Result<void> PlanProvided(SandboxSpec& spec, Environment& env, const Version& version) {
  std::string path = "/var/task/bootstrap";
  Program found = Look(version.code_dir + "/bootstrap");
  if (found == Program::kAbsent) path = "/opt/bootstrap";
  // The last layer that has it covers the others.
  for (auto layer = version.layer_dirs.rbegin();
       found == Program::kAbsent && layer != version.layer_dirs.rend(); ++layer) {
    found = Look(*layer + "/bootstrap");
  }
  if (found == Program::kAbsent) {
    return Fail(Code::kInvalid,
                "Couldn't find valid bootstrap(s): [/var/task/bootstrap /opt/bootstrap]",
                "Runtime.InvalidEntrypoint");
  }
  if (found == Program::kUnusable) {
    return Fail(Code::kInvalid, fmt::format("fork/exec {}: permission denied", path),
                "Runtime.InvalidEntrypoint");
  }
  spec.argv = {path};
  SpeakRuntimeApi(spec, env);
  return {};
}

// The image's own variables stand in for the defaults of other runtimes.
Environment ImageEnvironment(const VersionImage& image) {
  Environment env;
  env["PATH"] = kImagePath;
  env["HOME"] = "/tmp";
  for (const auto& variable : image.environment) {
    const auto equals = variable.find('=');
    if (equals != 0 && equals != std::string::npos) {
      env[variable.substr(0, equals)] = variable.substr(equals + 1);
    }
  }
  return env;
}

// An image's program speaks the Runtime API, or listens for HTTP: then a program of ours stands
// between the channel and it (runtimes/http).
void PlanImage(SandboxSpec& spec, Environment& env, const VersionImage& image,
               const LaunchOptions& options) {
  spec.image = image.folders;
  spec.argv = image.program;
  spec.cwd = image.working_folder.empty() ? "/" : image.working_folder;
  // What an image says of its own folders is so; a handler is its own affair.
  const auto own = ImageEnvironment(image);
  for (const char* name : {"LAMBDA_TASK_ROOT", "LAMBDA_RUNTIME_DIR", "_HANDLER"}) {
    env.erase(name);
    if (const auto found = own.find(name); found != own.end()) env[name] = found->second;
  }
  if (image.http_port == 0) {
    SpeakRuntimeApi(spec, env);
    return;
  }
  spec.channel = true;
  spec.mounts.push_back({options.runtimes_dir + "/http", "/.samovar", {}});
  const auto port = std::to_string(image.http_port);
  spec.argv.insert(spec.argv.begin(), {"/.samovar/samovar-http", port});
  env["PORT"] = port;
}

// The program that stands beside the image's own needs no library, and looks at that one.
void PlanImageCheck(SandboxSpec& spec, const Version& version, const LaunchOptions& options) {
  const VersionImage& image = *version.image;
  auto env = ImageEnvironment(image);
  for (const auto& [name, value] : version.environment) env[name] = value;
  spec.image = image.folders;
  spec.cwd = "/";
  spec.mounts.push_back({options.runtimes_dir + "/http", "/.samovar", {}});
  spec.argv = {"/.samovar/samovar-http", "check", image.program.front(), env["PATH"],
               image.working_folder.empty() ? "/" : image.working_folder};
}

void AddMounts(SandboxSpec& spec, const Version& version, const Runtime& runtime) {
  if (version.image) return;
  spec.mounts.push_back({version.code_dir, "/var/task", {}});
  if (!version.layer_dirs.empty()) {
    spec.mounts.push_back({version.layer_dirs.front(),
                           "/opt",
                           {version.layer_dirs.begin() + 1, version.layer_dirs.end()}});
  }
  for (const std::string& folder : runtime.mounts) spec.mounts.push_back({folder, folder, {}});
}

// Whether a process of this runtime that was started without the function could become this
// instance: what Node.js, its libraries and the dynamic linker read once, at their start, must be
// as everywhere.
bool MayBootAhead(const Version& version, const Environment& env) {
  static constexpr std::string_view kReadAtStart[] = {
      "NODE_", "LD_",      "LC_",       "MALLOC_", "UV_",
      "LANG",  "OPENSSL_", "SSL_CERT_", "ICU_",    "GLIBC_TUNABLES"};
  static constexpr std::string_view kReadLater[] = {"NODE_PATH", "NODE_ENV", "LD_LIBRARY_PATH",
                                                    "LANG"};  // or compared below
  for (const auto& [name, value] : env) {
    bool early =
        std::ranges::any_of(kReadAtStart, [&](auto head) { return name.starts_with(head); });
    if (early && std::ranges::find(kReadLater, name) == std::end(kReadLater)) return false;
  }
  for (const char* own : {"LANG", "LD_LIBRARY_PATH"}) {
    if (version.environment.contains(own)) return false;
  }
  // The dynamic linker looks for these folders once.
  std::error_code ignored;
  if (std::filesystem::exists(version.code_dir + "/lib", ignored)) return false;
  return std::ranges::none_of(version.layer_dirs, [&](const auto& layer) {
    return std::filesystem::exists(layer + "/lib", ignored);
  });
}

// The same for all functions of a runtime: what is otherwise in a function's environment comes
// later.
GenericBoot BootOf(const SandboxSpec& spec, const Runtime& runtime) {
  GenericBoot boot;
  boot.env = {fmt::format("PATH={}", kSystemPath),
              "LANG=C.UTF-8",
              "HOME=/tmp",
              "TZ=:UTC",
              "LD_LIBRARY_PATH=/var/task:/var/task/lib:/opt/lib",
              fmt::format("{}=1", kGenericVariable)};
  for (const auto& mount : spec.mounts) {
    bool of_runtime = mount.target == "/var/runtime" ||
                      std::ranges::find(runtime.mounts, mount.target) != runtime.mounts.end();
    if (of_runtime) boot.mounts.push_back(mount);
  }
  return boot;
}

}  // namespace

Result<SandboxSpec> PlanLaunch(const Version& version, const Runtime& runtime,
                               const std::string& instance_id, WallTime now,
                               const LaunchOptions& options) {
  SandboxSpec spec;
  spec.id = instance_id;
  spec.memory = version.memory;
  spec.tmp_size = version.tmp_size;
  spec.cpus = CpuShare(version.memory);
  spec.network =
      version.egress || options.egress_by_default ? Network::kEgress : Network::kLoopback;
  AddMounts(spec, version, runtime);

  if (runtime.kind == Runtime::Kind::kImage && !version.image) {
    return Fail(Code::kInvalid, "the image of the function is gone", "Runtime.InvalidEntrypoint");
  }
  Environment env;
  if (version.image) {
    env = ImageEnvironment(*version.image);
  } else {
    AddDefaults(env, version, runtime, options);
  }
  for (const auto& [name, value] : version.environment) env[name] = value;
  AddPlatform(env, version, instance_id, now, options);
  switch (runtime.kind) {
    case Runtime::Kind::kPython:
      TRY(PlanPython(spec, env, version, runtime, options));
      break;
    case Runtime::Kind::kNode:
      TRY(PlanNode(spec, env, version, runtime, options));
      break;
    case Runtime::Kind::kProvided:
      TRY(PlanProvided(spec, env, version));
      break;
    case Runtime::Kind::kOnnx:
      PlanOnnx(spec, env, version, options);
      break;
    case Runtime::Kind::kImage:
      PlanImage(spec, env, *version.image, options);
      break;
  }
  // Where there is an interpreter; a bootstrap of the user's own reads the variable itself.
  const auto wrapper = env.find("AWS_LAMBDA_EXEC_WRAPPER");
  const bool interpreted =
      runtime.kind == Runtime::Kind::kPython || runtime.kind == Runtime::Kind::kNode;
  if (wrapper != env.end() && interpreted) {
    spec.argv.insert(spec.argv.begin(), wrapper->second);
  }
  // What a wrapper starts may be anything.
  const bool template_runtime =
      runtime.kind == Runtime::Kind::kPython || runtime.kind == Runtime::Kind::kOnnx;
  spec.clonable = options.clones && version.may_clone && template_runtime && spec.channel &&
                  (wrapper == env.end() || !interpreted);
  env.erase(kGenericVariable);
  if (options.clones && version.may_clone && runtime.kind == Runtime::Kind::kNode && spec.channel &&
      wrapper == env.end() && spec.network == Network::kLoopback && MayBootAhead(version, env)) {
    spec.boot = BootOf(spec, runtime);
  }
  env.erase(kTemplateVariable);
  if (spec.clonable) env[kTemplateVariable] = "1";
  for (const auto& [name, value] : env) spec.env.push_back(name + "=" + value);
  return spec;
}

SandboxSpec PlanCheck(const Version& version, const Runtime& runtime, const std::string& check_id,
                      const LaunchOptions& options) {
  SandboxSpec spec;
  spec.id = check_id;
  spec.memory = kCheckMemory;
  spec.tmp_size = Bytes::MiB(16);
  spec.max_processes = 64;
  if (version.image) {
    PlanImageCheck(spec, version, options);
    return spec;
  }
  AddMounts(spec, version, runtime);
  spec.mounts.push_back({options.runtimes_dir + "/check", "/var/runtime", {}});
  Environment env;
  AddDefaults(env, version, runtime, options);
  for (const auto& [name, value] : version.environment) env[name] = value;
  // What may bring modules from elsewhere, or start something else, makes a handler hard to find.
  bool plain = true;
  for (const char* name : {"AWS_LAMBDA_EXEC_WRAPPER", "PYTHONPATH", "NODE_PATH", kClientVariable}) {
    plain = plain && !version.environment.contains(name);
  }
  spec.argv = {"/var/runtime/samovar-check", runtime.name, plain ? version.handler : "",
               runtime.interpreter, env["LD_LIBRARY_PATH"]};
  // A library path of the function's is not the checker's.
  spec.env = {"PATH=" + std::string(kSystemPath), "LANG=C.UTF-8"};
  return spec;
}

}  // namespace samovar
