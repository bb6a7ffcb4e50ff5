#include "main/build_sandbox.h"

#include <fmt/format.h>
#include <stdlib.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace samovar {

namespace fs = std::filesystem;

namespace {

constexpr std::uint64_t kSmall = 16
                                 << 20;  // bytes of a folder in memory that holds next to nothing

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

std::vector<std::string> Split(const std::string& text, char at) {
  std::vector<std::string> out;
  std::istringstream in(text);
  for (std::string part; std::getline(in, part, at);) {
    if (!part.empty()) out.push_back(part);
  }
  return out;
}

std::string FindOnPath(const std::string& name) {
  for (const auto& folder : Split(Environment("PATH"), ':')) {
    if (::access((folder + "/" + name).c_str(), X_OK) == 0) return folder + "/" + name;
  }
  return "";
}

std::string Home() {
  const auto home = Environment("HOME");
  return home.starts_with('/') && home != "/" ? home : "/home/nobody";
}

// Read by tools wherever they are; neither shadow files nor keys.
constexpr const char* kReadable[] = {"/usr",
                                     "/bin",
                                     "/sbin",
                                     "/lib",
                                     "/lib32",
                                     "/lib64",
                                     "/opt",
                                     "/etc/alternatives",
                                     "/etc/ca-certificates",
                                     "/etc/ssl/certs",
                                     "/etc/ssl/openssl.cnf",
                                     "/etc/pki/tls/certs",
                                     "/etc/ld.so.cache",
                                     "/etc/ld.so.conf",
                                     "/etc/ld.so.conf.d",
                                     "/etc/group",
                                     "/etc/passwd",
                                     "/etc/nsswitch.conf",
                                     "/etc/localtime",
                                     "/etc/pip.conf",
                                     "/etc/npmrc"};
constexpr const char* kReadableAtHome[] = {
    ".config/uv", ".config/pip", ".pip",       ".npmrc",
    ".netrc",     ".rustup",     ".cargo/bin", ".cargo/config.toml"};

// What reaches the tools of the caller's environment: their own settings, and no keys of others.
bool Passes(std::string_view line) {
  for (const std::string_view prefix : {"PATH=",
                                        "LANG=",
                                        "LC_",
                                        "TERM=",
                                        "UV_",
                                        "PIP_",
                                        "npm_config_",
                                        "NPM_CONFIG_",
                                        "NPM_TOKEN=",
                                        "CARGO_",
                                        "RUSTUP_",
                                        "RUSTFLAGS=",
                                        "CC=",
                                        "CXX=",
                                        "CFLAGS=",
                                        "CXXFLAGS=",
                                        "CPPFLAGS=",
                                        "LDFLAGS=",
                                        "MAKEFLAGS=",
                                        "CMAKE_",
                                        "SSL_CERT_",
                                        "REQUESTS_CA_BUNDLE=",
                                        "NODE_EXTRA_CA_",
                                        "SOURCE_DATE_EPOCH=",
                                        "PYTHON_KEYRING_"}) {
    if (line.starts_with(prefix)) return true;
  }
  return false;
}

class Words {
 public:
  explicit Words(std::string program) : words_{std::move(program)} {}
  void Add(std::initializer_list<std::string> words) { words_.insert(words_.end(), words); }
  void InMemory(const std::string& path, std::uint64_t bytes) {
    Add({"--size", std::to_string(bytes), "--tmpfs", path});
  }
  void Readable(const std::string& path) { Add({"--ro-bind-try", path, path}); }
  void Writable(const std::string& path) {
    std::error_code ignored;
    fs::create_directories(path, ignored);
    Add({"--bind-try", path, path});
  }
  std::vector<std::string> Take() { return std::move(words_); }

 private:
  std::vector<std::string> words_;
};

// Folders of interpreters and tools outside of /usr: those on PATH, and where a program that is
// named by its path is installed ("/x/bin/python3.11": /x).
void AddTools(Words& words, const ChildCall& call) {
  for (const auto& folder : Split(Environment("PATH"), ':')) {
    if (!folder.starts_with("/usr/") && folder.starts_with('/')) words.Readable(folder);
  }
  std::error_code ignored;
  std::vector<std::string> programs = call.argv;
  if (!call.argv[0].starts_with('/')) programs.push_back(FindOnPath(call.argv[0]));
  for (const auto& program : programs) {
    if (!program.starts_with('/') || ::access(program.c_str(), X_OK) != 0) continue;
    const fs::path real = fs::canonical(program, ignored);
    if (fs::is_directory(real, ignored)) continue;
    words.Readable(program);
    const auto folder = real.parent_path();
    words.Readable(folder.string());
    const auto prefix = folder.parent_path();
    if (folder.filename() == "bin" && prefix != "/" && prefix != fs::path(Home())) {
      words.Readable(prefix.string());
    }
  }
}

// Local folders that the environment names to find packages in.
void AddFolders(Words& words) {
  for (const char* name :
       {"UV_FIND_LINKS", "PIP_FIND_LINKS", "UV_INDEX", "UV_DEFAULT_INDEX", "UV_CONFIG_FILE",
        "PIP_CONFIG_FILE", "SSL_CERT_FILE", "SSL_CERT_DIR", "PIP_CERT", "NODE_EXTRA_CA_CERTS"}) {
    std::string text = Environment(name);
    std::ranges::replace(text, ',', ' ');
    for (auto& path : Split(text, ' ')) {
      if (path.starts_with("file://")) path = path.substr(7);
      if (path.starts_with('/')) words.Readable(path);
    }
  }
}

std::string Cache(const char* variable, const std::string& otherwise) {
  const auto set = Environment(variable);
  return set.starts_with('/') ? set : otherwise;
}

// The variable that names each tool's cache, and the folder.
using ToolCaches = std::vector<std::pair<std::string, std::string>>;
ToolCaches CachesFor(const ChildCall& call, const std::string& build_folder) {
  const auto own = build_folder + "/cache";
  const auto shared = Cache("XDG_CACHE_HOME", Home() + "/.cache");
  ToolCaches caches{{"UV_CACHE_DIR", own + "/uv"},
                    {"PIP_CACHE_DIR", own + "/pip"},
                    {"npm_config_cache", own + "/npm"},
                    {"CARGO_HOME", own + "/cargo"}};
  if (call.runs_code) return caches;
  caches[0].second = Cache("UV_CACHE_DIR", shared + "/uv");
  caches[1].second = Cache("PIP_CACHE_DIR", shared + "/pip");
  caches[2].second = Cache("npm_config_cache", Home() + "/.npm");
  return caches;
}

}  // namespace

std::set<std::string> BuildHosts(const std::string& project) {
  std::set<std::string> hosts;
  const auto add = [&](const std::string& text) {
    // Any URL in it: "name=https://...", "--index-url https://...", TOML and JSON alike.
    for (std::size_t at = text.find("http"); at != text.npos; at = text.find("http", at + 4)) {
      const auto end = text.find_first_of(" \t\r\n\"',;<>", at);
      const auto target = TargetOfUrl(std::string_view(text).substr(at, end - at));
      if (target) hosts.insert(target->host + ":" + target->port);
    }
  };
  for (const char* name :
       {"UV_DEFAULT_INDEX", "UV_INDEX", "UV_INDEX_URL", "UV_EXTRA_INDEX_URL", "UV_FIND_LINKS",
        "PIP_INDEX_URL", "PIP_EXTRA_INDEX_URL", "PIP_FIND_LINKS", "npm_config_registry",
        "NPM_CONFIG_REGISTRY", "CARGO_REGISTRIES_CRATES_IO_INDEX"}) {
    add(Environment(name));
  }
  for (const auto& file : {fs::path(project) / "requirements.txt", fs::path(project) / "uv.toml",
                           fs::path(project) / ".npmrc", fs::path(Home()) / ".npmrc",
                           fs::path(Home()) / ".config/uv/uv.toml",
                           fs::path(Home()) / ".config/pip/pip.conf", fs::path("/etc/pip.conf")}) {
    std::ifstream in(file);
    std::ostringstream text;
    text << in.rdbuf();
    add(text.str());
  }
  for (const char* name :
       {"pypi.org:443", "files.pythonhosted.org:443", "registry.npmjs.org:443", "nodejs.org:443",
        "index.crates.io:443", "static.crates.io:443", "crates.io:443"}) {
    hosts.insert(name);
  }
  for (auto& host : Split(Environment("SAMOVAR_BUILD_HOSTS"), ',')) hosts.insert(host);
  return hosts;
}

Result<void> BuildSandbox::Without(bool required, const std::string& reason) {
  bwrap_.clear();
  if (required) return Fail(Code::kInvalid, "SAMOVAR_BUILD_SANDBOX=require: " + reason);
  warning_ = "this build runs without a sandbox: " + reason;
  return {};
}

Result<void> BuildSandbox::Open() {
  opened_ = true;
  const auto choice = Environment("SAMOVAR_BUILD_SANDBOX");
  if (choice == "off") return {};
  if (!choice.empty() && choice != "auto" && choice != "require") {
    return Fail(Code::kInvalid, "SAMOVAR_BUILD_SANDBOX: expected auto, require or off");
  }
  const bool required = choice == "require";
  bwrap_ = FindOnPath("bwrap");
  if (bwrap_.empty()) {
    return Without(required, "there is no bwrap on PATH (apt-get install bubblewrap)");
  }
  // Namespaces of its own would give a build memory that no bound counts (tmpfs), and more of the
  // kernel to attack. Forbidding them needs a user namespace.
  nesting_ = {"--unshare-user", "--disable-userns"};
  std::string said;
  const auto probe = [&]() -> Result<int> {
    ChildCall call{.argv = {bwrap_, "--unshare-all"}, .folder = "/", .environment = {}};
    call.argv.insert(call.argv.end(), nesting_.begin(), nesting_.end());
    call.argv.insert(call.argv.end(), {"--ro-bind", "/", "/", "/bin/true"});
    return RunChild(call, [&](std::string_view line) { said = line; });
  };
  TRY(int status, probe());
  if (status != 0) {
    nesting_.clear();
    TRY(status, probe());
  }
  if (status != 0) return Without(required, "bwrap does not work here: " + said);
  auto upstream = Environment("HTTPS_PROXY");
  for (const char* name : {"https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"}) {
    if (upstream.empty()) upstream = Environment(name);
  }
  TRY(proxy_, IndexProxy::Start(BuildHosts(reach_.project), upstream));
  return {};
}

BuildGroup* BuildSandbox::Group(const BuildBounds& bounds) {
  if (!std::exchange(grouped_, true)) {
    if (auto made = BuildGroup::Open(bounds)) group_.emplace(std::move(*made));
  }
  return group_ ? &*group_ : nullptr;
}

std::set<std::string> BuildSandbox::TakeRefused() {
  return proxy_ ? proxy_->TakeRefused() : std::set<std::string>();
}

Result<ChildCall> BuildSandbox::Inside(const ChildCall& call, const BuildBounds& bounds) {
  if (!opened_) TRY(Open());
  if (bwrap_.empty()) return call;
  Words words(bwrap_);
  words.Add({"--unshare-all", "--die-with-parent", "--new-session", "--clearenv"});
  for (const auto& word : nesting_) words.Add({word});
  for (const char* path : kReadable) words.Readable(path);
  words.Add({"--proc", "/proc", "--dev", "/dev"});
  words.InMemory("/dev/shm", bounds.memory.count / 4);
  words.InMemory("/tmp", bounds.memory.count);
  words.InMemory("/run", kSmall);
  words.InMemory(Home(), bounds.memory.count / 4);
  for (const char* path : kReadableAtHome) words.Readable(Home() + "/" + path);
  AddTools(words, call);
  AddFolders(words);
  words.Readable(reach_.project);
  for (const auto& path : call.readable) words.Readable(path);
  if (call.in_place) {
    words.Writable(call.folder);
  } else {
    words.Readable(call.folder);
  }
  words.Readable(reach_.build_folder);
  for (const auto& path : call.writable) words.Writable(path);
  const ToolCaches caches = CachesFor(call, reach_.build_folder);
  for (const auto& [name, folder] : caches) words.Writable(folder);
  words.Add({"--ro-bind", proxy_->SocketPath(), "/run/proxy"});
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line = *entry;
    const auto equals = line.find('=');
    if (equals == line.npos || !Passes(line)) continue;
    words.Add(
        {"--setenv", std::string(line.substr(0, equals)), std::string(line.substr(equals + 1))});
  }
  words.Add({"--setenv", "HOME", Home(), "--setenv", "TMPDIR", "/tmp"});
  for (const auto& [name, folder] : caches) words.Add({"--setenv", name, folder});
  for (const auto& [name, value] : call.environment) words.Add({"--setenv", name, value});
  if (!call.folder.empty()) words.Add({"--chdir", call.folder});
  words.Add({"--remount-ro", "/dev", "--remount-ro", "/"});
  words.Add({"--", fmt::format("/proc/self/fd/{}", kItself), std::string(kInsideBuild),
             "/run/proxy", std::to_string(bounds.processes)});
  ChildCall inside{.argv = words.Take(), .folder = "/", .environment = {}, .itself = true};
  inside.argv.insert(inside.argv.end(), call.argv.begin(), call.argv.end());
  return inside;
}

}  // namespace samovar
