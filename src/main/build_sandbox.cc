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

constexpr const char* kInner = "/run/samovar";

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
  std::string said;
  const ChildCall probe{.argv = {bwrap_, "--unshare-all", "--ro-bind", "/", "/", "/bin/true"},
                        .folder = "/",
                        .environment = {}};
  TRY(const int status, RunChild(probe, [&](std::string_view line) { said = line; }));
  if (status != 0) return Without(required, "bwrap does not work here: " + said);
  auto upstream = Environment("HTTPS_PROXY");
  for (const char* name : {"https_proxy", "ALL_PROXY", "HTTP_PROXY", "http_proxy"}) {
    if (upstream.empty()) upstream = Environment(name);
  }
  TRY(proxy_, IndexProxy::Start(BuildHosts(reach_.project), upstream));
  return {};
}

std::set<std::string> BuildSandbox::TakeRefused() {
  return proxy_ ? proxy_->TakeRefused() : std::set<std::string>();
}

Result<ChildCall> BuildSandbox::Inside(const ChildCall& call) {
  if (!opened_) TRY(Open());
  if (bwrap_.empty()) return call;
  Words words(bwrap_);
  words.Add({"--unshare-all", "--die-with-parent", "--new-session", "--clearenv"});
  for (const char* path : kReadable) words.Readable(path);
  words.Add({"--proc", "/proc", "--dev", "/dev", "--tmpfs", "/tmp", "--tmpfs", "/run", "--tmpfs",
             Home()});
  for (const char* path : kReadableAtHome) words.Readable(Home() + "/" + path);
  AddTools(words, call);
  AddFolders(words);
  const auto caches = Cache("XDG_CACHE_HOME", Home() + "/.cache");
  const auto uv_cache = Cache("UV_CACHE_DIR", caches + "/uv");
  const auto npm_cache = Cache("npm_config_cache", Home() + "/.npm");
  const auto cargo_home = reach_.build_folder + "/.cargo-home";
  words.Writable(uv_cache);
  words.Writable(caches + "/pip");
  words.Writable(npm_cache);
  words.Readable(reach_.project);
  for (const auto& path : call.readable) words.Readable(path);
  if (call.in_place) {
    words.Writable(call.folder);
  } else {
    words.Readable(call.folder);
  }
  words.Writable(reach_.build_folder);
  std::error_code ignored;
  const auto self = fs::read_symlink("/proc/self/exe", ignored).string();
  words.Add({"--ro-bind", proxy_->SocketPath(), "/run/proxy", "--ro-bind", self, kInner});
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line = *entry;
    const auto equals = line.find('=');
    if (equals == line.npos || !Passes(line)) continue;
    words.Add(
        {"--setenv", std::string(line.substr(0, equals)), std::string(line.substr(equals + 1))});
  }
  for (const auto& [name, value] :
       std::vector<std::pair<std::string, std::string>>{{"HOME", Home()},
                                                        {"TMPDIR", "/tmp"},
                                                        {"UV_CACHE_DIR", uv_cache},
                                                        {"npm_config_cache", npm_cache},
                                                        {"CARGO_HOME", cargo_home}}) {
    words.Add({"--setenv", name, value});
  }
  for (const auto& [name, value] : call.environment) words.Add({"--setenv", name, value});
  if (!call.folder.empty()) words.Add({"--chdir", call.folder});
  words.Add({"--", kInner, std::string(kInsideBuild), "/run/proxy"});
  ChildCall inside{.argv = words.Take(), .folder = "/", .environment = {}};
  inside.argv.insert(inside.argv.end(), call.argv.begin(), call.argv.end());
  return inside;
}

}  // namespace samovar
