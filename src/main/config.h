#pragma once
// Config: everything an operator may set, with its default.
//
// Why      A server that starts with a misspelt key runs with a setting that nobody asked for; so
//          an unknown key or a bad value stops the start and says where it stands and what was
//          expected.
// How      One table (ConfigKeys) names every key, its default, its documentation and how it is
//          read; the file, the environment (SAMOVAR_*), the command line, `samovar config` and
//          docs/configuration.md all come from it. Later wins: default, file, environment, command
//          line.
// Units    Bytes and std::chrono. In text: "512MB" (binary, as Lambda's MB are), "10m", "75%".
// Errors   kInvalid: "FILE:LINE: KEY: expected ..., got ...".
// Threads  Values; no shared state.

#include <boost/json/object.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "base/error.h"
#include "base/log.h"

namespace samovar {

struct MemoryBudget {
  int percent = 0;  // of the host's memory, when not 0
  Bytes size;       // otherwise
  Bytes Of(Bytes host_memory) const;
};

struct Config {
  enum class Isolation : std::uint8_t { kFull, kProcess };
  enum class KeepAlivePolicy : std::uint8_t { kLearned, kFixed };
  enum class DefaultNetwork : std::uint8_t { kLoopback, kEgress };

  std::string listen;       // "127.0.0.1:4566"
  std::string grpc_listen;  // "127.0.0.1:4567"; "auto", "off"
  std::string data_dir;     // absolute
  Isolation isolation = Isolation::kFull;
  std::string user;  // a name or uid; "auto" (see UserId)
  std::string region;
  std::string account_id;
  LogLevel log_level = LogLevel::kInfo;
  std::string url_suffix;  // "" until UrlSuffix() fills it from the port that was bound
  std::chrono::milliseconds drain_timeout{0};
  bool busy_poll = true;

  struct Limits {
    int account_concurrency = 0;
    Bytes max_package;
    Bytes max_unpacked;
    MemoryBudget memory_budget;
    int queue_per_function = 0;
    int queue_total = 0;
    std::chrono::milliseconds queue_wait{0};
  } limits;

  struct KeepAlive {
    KeepAlivePolicy policy = KeepAlivePolicy::kLearned;
    std::chrono::milliseconds fixed{0};
  } keep_alive;

  struct Clones {
    bool enabled = true;
    int max_spares = 0;
  } clones;

  struct Runtimes {
    std::vector<std::string> python_paths;  // folders or interpreters, absolute
    std::vector<std::string> node_paths;
  } runtimes;

  struct Logs {
    Bytes max_size_per_function;
  } logs;

  struct Async {
    std::chrono::milliseconds retry_backoff{0};  // before the first retry; doubles
    int max_queue = 0;                           // events on disk, all functions together
  } async;

  struct NetworkOptions {
    DefaultNetwork default_network = DefaultNetwork::kLoopback;  // network.default
  } network;

  struct CollectionAccessOptions {
    bool all = true;  // collections.default_access = all
    std::chrono::milliseconds keep_unnamed{0};
  } collections;

  // The suffix of function URLs: url_suffix, or "localhost:PORT" of the port bound.
  std::string UrlSuffix(std::uint16_t bound_port) const;
};

struct ListenAddress {
  std::string host;  // without brackets
  std::uint16_t port = 0;
  bool Loopback() const;  // 127.0.0.0/8, ::1, localhost
};
Result<ListenAddress> ParseListen(std::string_view text);

// The uid and gid that the server drops to when it was started as root. "auto" is the user
// `samovar` where there is one, else uid and gid 64566, which no distribution hands out.
struct UserId {
  std::uint32_t uid = 0;
  std::uint32_t gid = 0;
};
Result<UserId> ResolveUser(const std::string& user);

// A value as it is written: one scalar, or a list.
struct ConfigText {
  bool list = false;
  std::vector<std::string> items;  // exactly one when not a list
  std::string Show() const;        // items joined by ", "
};

struct ConfigKey {
  std::string_view name;      // "limits.queue_wait"
  std::string_view kind;      // "duration", for documentation
  std::string_view fallback;  // default as text; "" for an empty list
  std::string_view doc;       // one line
  // What was expected, when `text` is not it.
  std::function<std::optional<std::string>(Config&, const ConfigText& text)> set;
  std::function<ConfigText(const Config&)> get;
  std::string EnvironmentName() const;  // "SAMOVAR_LIMITS_QUEUE_WAIT"
};
const std::vector<ConfigKey>& ConfigKeys();

// Where settings come from, as parameters, so that tests choose them.
struct ConfigSources {
  std::string file;       // "" for none
  std::string file_text;  // its content
  std::map<std::string, std::string> environment;
  std::vector<std::pair<std::string, std::string>> flags;  // key, value: from the command line
  bool root = false;
  std::string home;
};

struct LoadedConfig {
  Config config;
  std::map<std::string, std::string> origin;  // key -> "default", "FILE:LINE", "SAMOVAR_X", "flag"
};

Result<LoadedConfig> LoadConfig(const ConfigSources& sources);

// Reads the real environment and the file: `path`, else $SAMOVAR_CONFIG, else
// /etc/samovar/config.yaml (root) or ~/.config/samovar/config.yaml where that exists.
Result<LoadedConfig> LoadConfigFromSystem(const std::string& path,
                                          std::vector<std::pair<std::string, std::string>> flags);

// Nested by the dots in the keys, values as text; the answer of GET /samovar/v1/config.
boost::json::object ConfigJson(const Config& config);
// docs/configuration.md, whole.
std::string ConfigMarkdown();

// "512MB", "1.5GiB", "1024"; KB, MB, GB, TB are binary. nullopt for anything else.
std::optional<Bytes> ParseSize(std::string_view text);
std::string ShowSize(Bytes size);
// "250ms", "3s", "10m", "2h", "1d", "1h30m". nullopt for anything else.
std::optional<std::chrono::milliseconds> ParseDuration(std::string_view text);
std::string ShowDuration(std::chrono::milliseconds duration);

}  // namespace samovar
