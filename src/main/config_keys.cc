// The table of every setting (declared in config.h). A new setting is one entry here and one field
// of Config.
#include <algorithm>
#include <charconv>

#include "main/config.h"

namespace samovar {

namespace {

using Setter = std::function<std::optional<std::string>(Config&, const ConfigText&)>;
using Getter = std::function<ConfigText(const Config&)>;
// What was expected, or nullopt when the scalar was taken.
using ScalarSetter = std::function<std::optional<std::string>(Config&, const std::string&)>;

ConfigText Scalar(std::string text) { return {.list = false, .items = {std::move(text)}}; }

Setter OneValue(std::string expected, ScalarSetter set) {
  return [expected, set](Config& config, const ConfigText& text) -> std::optional<std::string> {
    if (text.list) return expected;
    return set(config, text.items.at(0));
  };
}

std::optional<std::int64_t> ParseInt(std::string_view text) {
  std::int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

template <class Field>
ConfigKey TextKey(std::string_view name, std::string_view fallback, std::string_view doc,
                  Field field, std::string expected, std::function<bool(std::string_view)> fits) {
  return {name,
          "text",
          fallback,
          doc,
          OneValue(expected,
                   [=](Config& c, const std::string& text) -> std::optional<std::string> {
                     if (!fits(text)) return expected;
                     field(c) = text;
                     return std::nullopt;
                   }),
          [=](const Config& c) { return Scalar(field(const_cast<Config&>(c))); }};
}

template <class Field>
ConfigKey IntKey(std::string_view name, std::string_view fallback, std::string_view doc,
                 Field field, int min, int max) {
  const std::string expected = fmt::format("a whole number from {} to {}", min, max);
  return {name,
          "number",
          fallback,
          doc,
          OneValue(expected,
                   [=](Config& c, const std::string& text) -> std::optional<std::string> {
                     const auto value = ParseInt(text);
                     if (!value || *value < min || *value > max) return expected;
                     field(c) = static_cast<int>(*value);
                     return std::nullopt;
                   }),
          [=](const Config& c) { return Scalar(fmt::to_string(field(const_cast<Config&>(c)))); }};
}

template <class Field>
ConfigKey SizeKey(std::string_view name, std::string_view fallback, std::string_view doc,
                  Field field, Bytes min) {
  const std::string expected = fmt::format("a size of at least {}, e.g. 512MB", ShowSize(min));
  return {name,
          "size",
          fallback,
          doc,
          OneValue(expected,
                   [=](Config& c, const std::string& text) -> std::optional<std::string> {
                     const auto size = ParseSize(text);
                     if (!size || *size < min) return expected;
                     field(c) = *size;
                     return std::nullopt;
                   }),
          [=](const Config& c) { return Scalar(ShowSize(field(const_cast<Config&>(c)))); }};
}

template <class Field>
ConfigKey DurationKey(std::string_view name, std::string_view fallback, std::string_view doc,
                      Field field, std::chrono::milliseconds min, std::chrono::milliseconds max) {
  using Unit = std::remove_reference_t<decltype(field(std::declval<Config&>()))>;
  const std::string expected = fmt::format("a duration from {} to {}, e.g. 30s or 10m",
                                           ShowDuration(min), ShowDuration(max));
  return {name,
          "duration",
          fallback,
          doc,
          OneValue(expected,
                   [=](Config& c, const std::string& text) -> std::optional<std::string> {
                     const auto duration = ParseDuration(text);
                     if (!duration || *duration < min || *duration > max) return expected;
                     const auto value = std::chrono::duration_cast<Unit>(*duration);
                     if (value != *duration) return expected + ", in whole seconds";
                     field(c) = value;
                     return std::nullopt;
                   }),
          [=](const Config& c) { return Scalar(ShowDuration(field(const_cast<Config&>(c)))); }};
}

template <class Enum>
struct Choice {
  std::string_view name;
  Enum value;
};

template <class Enum, class Field>
ConfigKey ChoiceKey(std::string_view name, std::string_view fallback, std::string_view doc,
                    Field field, std::vector<Choice<Enum>> choices) {
  std::string expected = "one of ";
  for (const auto& choice : choices) {
    if (&choice != &choices.front()) expected += ", ";
    expected += choice.name;
  }
  return {name,
          "choice",
          fallback,
          doc,
          OneValue(expected,
                   [=](Config& c, const std::string& text) -> std::optional<std::string> {
                     for (const auto& choice : choices) {
                       if (text != choice.name) continue;
                       field(c) = choice.value;
                       return std::nullopt;
                     }
                     return expected;
                   }),
          [=](const Config& c) {
            for (const auto& choice : choices) {
              if (choice.value == field(const_cast<Config&>(c))) {
                return Scalar(std::string(choice.name));
              }
            }
            return Scalar("");
          }};
}

template <class Field>
ConfigKey PathsKey(std::string_view name, std::string_view doc, Field field) {
  return {name,
          "list of paths",
          "",
          doc,
          [=](Config& c, const ConfigText& text) -> std::optional<std::string> {
            for (const std::string& path : text.items) {
              if (!path.starts_with('/')) return "a list of absolute paths";
            }
            field(c) = text.items;
            return std::nullopt;
          },
          [=](const Config& c) {
            return ConfigText{.list = true, .items = field(const_cast<Config&>(c))};
          }};
}

ConfigKey BudgetKey() {
  const std::string expected =
      "a share of the host's memory from 1% to 100%, or a size of at least 256MB";
  return {"limits.memory_budget",
          "percent or size",
          "75%",
          "Memory that all instances together may use; idle ones of others are ended first.",
          OneValue(expected,
                   [=](Config& c, const std::string& text) -> std::optional<std::string> {
                     MemoryBudget& budget = c.limits.memory_budget;
                     if (text.ends_with('%')) {
                       const auto n = ParseInt(std::string_view(text).substr(0, text.size() - 1));
                       if (!n || *n < 1 || *n > 100) return expected;
                       budget = {.percent = static_cast<int>(*n), .size = {}};
                       return std::nullopt;
                     }
                     const auto size = ParseSize(text);
                     if (!size || *size < Bytes::MiB(256)) return expected;
                     budget = {.percent = 0, .size = *size};
                     return std::nullopt;
                   }),
          [](const Config& c) {
            const MemoryBudget& budget = c.limits.memory_budget;
            return Scalar(budget.percent != 0 ? fmt::format("{}%", budget.percent)
                                              : ShowSize(budget.size));
          }};
}

bool AllOf(std::string_view text, bool (*fits)(char)) {
  return std::all_of(text.begin(), text.end(), fits);
}
bool Digit(char c) { return c >= '0' && c <= '9'; }
bool RegionChar(char c) { return Digit(c) || (c >= 'a' && c <= 'z') || c == '-'; }
bool HostChar(char c) { return RegionChar(c) || (c >= 'A' && c <= 'Z') || c == '.' || c == ':'; }
bool UserChar(char c) { return HostChar(c) || c == '_'; }

#define FIELD(path) [](Config& c) -> auto& { return c.path; }

void AddServerKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(TextKey("listen", "127.0.0.1:4566",
                         "Address of the one port. An address other than loopback needs a key "
                         "(samovar keys create).",
                         FIELD(listen), "HOST:PORT, e.g. 127.0.0.1:4566 or [::1]:4566",
                         [](std::string_view t) { return ParseListen(t).has_value(); }));
  keys.push_back(TextKey("grpc_listen", "auto",
                         "Address of the inference protocol over gRPC. auto: 127.0.0.1:4567 where "
                         "that is free. off: none. An address other than loopback needs a key.",
                         FIELD(grpc_listen), "HOST:PORT, auto or off", [](std::string_view t) {
                           return t == "auto" || t == "off" || ParseListen(t).has_value();
                         }));
  keys.push_back(TextKey("data_dir", "",
                         "Where functions, code, events and logs are kept. Default: "
                         "/var/lib/samovar as root, else ~/.local/share/samovar.",
                         FIELD(data_dir), "an absolute path",
                         [](std::string_view t) { return t.starts_with('/'); }));
  keys.push_back(ChoiceKey<Config::Isolation>(
      "isolation", "full",
      "full: namespaces, seccomp and cgroups, or no start at all. process: plain processes, only "
      "for code that you trust.",
      FIELD(isolation),
      {{"full", Config::Isolation::kFull}, {"process", Config::Isolation::kProcess}}));
  keys.push_back(TextKey("user", "auto",
                         "User (name or uid) that the server becomes when started as root. auto: "
                         "the user samovar where there is one, else uid 64566.",
                         FIELD(user), "a user name or uid other than root", [](std::string_view t) {
                           return !t.empty() && t != "0" && t != "root" && AllOf(t, UserChar);
                         }));
  keys.push_back(TextKey("region", "us-east-1", "Region in ARNs and function URLs.", FIELD(region),
                         "a region name, e.g. eu-central-1",
                         [](std::string_view t) { return !t.empty() && AllOf(t, RegionChar); }));
  keys.push_back(TextKey("account_id", "000000000000", "Account id in ARNs.", FIELD(account_id),
                         "12 digits, in quotes",
                         [](std::string_view t) { return t.size() == 12 && AllOf(t, Digit); }));
  keys.push_back(ChoiceKey<LogLevel>("log_level", "info",
                                     "Least severity of the server's own log (standard error).",
                                     FIELD(log_level),
                                     {{"debug", LogLevel::kDebug},
                                      {"info", LogLevel::kInfo},
                                      {"warn", LogLevel::kWarn},
                                      {"error", LogLevel::kError}}));
  keys.push_back(TextKey("url_suffix", "",
                         "End of function URLs: http://ID.lambda-url.REGION.SUFFIX/. Default: "
                         "localhost with the port of `listen`.",
                         FIELD(url_suffix), "HOST or HOST:PORT, or nothing",
                         [](std::string_view t) { return AllOf(t, HostChar); }));
  keys.push_back(DurationKey("drain_timeout", "30s",
                             "How long running invocations may go on after SIGTERM.",
                             FIELD(drain_timeout), std::chrono::seconds(0), std::chrono::hours(2)));
  keys.push_back(ChoiceKey<bool>(
      "busy_poll", "true",
      "Whether the server, and a function with a whole processor while few calls run, look for the "
      "next event up to 100 us before they sleep. A call then takes half the time or less; the "
      "looking shows as processor time.",
      FIELD(busy_poll), {{"true", true}, {"false", false}}));
}

void AddLimitKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(IntKey("limits.account_concurrency", "1000",
                        "Invocations at once, all functions together; more answer 429.",
                        FIELD(limits.account_concurrency), 1, 1'000'000));
  keys.push_back(SizeKey("limits.max_package", "10GB", "Largest zip of a function or layer.",
                         FIELD(limits.max_package), Bytes::MiB(1)));
  keys.push_back(SizeKey("limits.max_unpacked", "10GB", "Largest package or layer once unpacked.",
                         FIELD(limits.max_unpacked), Bytes::MiB(1)));
  keys.push_back(BudgetKey());
  keys.push_back(IntKey("limits.queue_per_function", "1000",
                        "Invocations of one function that may wait for an instance.",
                        FIELD(limits.queue_per_function), 0, 1'000'000));
  keys.push_back(IntKey("limits.queue_total", "5000",
                        "Invocations that may wait for an instance, all functions together.",
                        FIELD(limits.queue_total), 0, 10'000'000));
  keys.push_back(
      DurationKey("limits.queue_wait", "1m", "How long an invocation may wait for an instance.",
                  FIELD(limits.queue_wait), std::chrono::milliseconds(1), std::chrono::hours(1)));
}

void AddOtherKeys(std::vector<ConfigKey>& keys) {
  keys.push_back(ChoiceKey<Config::KeepAlivePolicy>(
      "keep_alive.policy", "learned",
      "How long an idle instance stays warm. learned: from the function's own idle gaps. fixed: "
      "keep_alive.fixed.",
      FIELD(keep_alive.policy),
      {{"learned", Config::KeepAlivePolicy::kLearned},
       {"fixed", Config::KeepAlivePolicy::kFixed}}));
  keys.push_back(
      DurationKey("keep_alive.fixed", "10m",
                  "Keep-alive under the fixed policy, and under the learned one until it "
                  "has seen enough.",
                  FIELD(keep_alive.fixed), std::chrono::seconds(0), std::chrono::hours(24)));
  keys.push_back(ChoiceKey<bool>(
      "clones.enabled", "true",
      "Whether instances are clones of an initialised process, where their runtime allows it. "
      "false: each initialises afresh. The tag samovar:clone = off says so for one function.",
      FIELD(clones.enabled), {{"true", true}, {"false", false}}));
  keys.push_back(IntKey("clones.max_spares", "32",
                        "Ready clones that a version may keep; how many it keeps is learned.",
                        FIELD(clones.max_spares), 0, 1000));
  keys.push_back(PathsKey("runtimes.python_paths",
                          "Folders or interpreters to look for CPython in, before PATH.",
                          FIELD(runtimes.python_paths)));
  keys.push_back(PathsKey("runtimes.node_paths",
                          "Folders or interpreters to look for Node.js in, before PATH.",
                          FIELD(runtimes.node_paths)));
  keys.push_back(SizeKey("logs.max_size_per_function", "64MB",
                         "Log kept on disk for one function; the oldest goes first.",
                         FIELD(logs.max_size_per_function), Bytes::KiB(64)));
  keys.push_back(DurationKey("async.retry_backoff", "1m",
                             "Wait before the first retry of an asynchronous event; it doubles.",
                             FIELD(async.retry_backoff), std::chrono::milliseconds(1),
                             std::chrono::hours(1)));
  keys.push_back(IntKey("async.max_queue", "100000",
                        "Asynchronous events on disk, all functions together; more answer 429.",
                        FIELD(async.max_queue), 1, 100'000'000));
  keys.push_back(ChoiceKey<bool>(
      "collections.default_access", "all",
      "Collections that functions without the tag samovar:collections see, read-only: all or none.",
      FIELD(collections.all), {{"all", true}, {"none", false}}));
  keys.push_back(DurationKey(
      "collections.keep_unnamed", "15m",
      "How long a generation of a collection stays that no version of a function names any more.",
      FIELD(collections.keep_unnamed), std::chrono::milliseconds(1), std::chrono::hours(240)));
  keys.push_back(ChoiceKey<Config::DefaultNetwork>(
      "network.default", "loopback",
      "Network of functions without the tag samovar:network. loopback: none but the platform's. "
      "egress: may open connections outwards, not to this host.",
      FIELD(network.default_network),
      {{"loopback", Config::DefaultNetwork::kLoopback},
       {"egress", Config::DefaultNetwork::kEgress}}));
}

#undef FIELD

}  // namespace

const std::vector<ConfigKey>& ConfigKeys() {
  static const std::vector<ConfigKey> keys = [] {
    std::vector<ConfigKey> all;
    AddServerKeys(all);
    AddLimitKeys(all);
    AddOtherKeys(all);
    return all;
  }();
  return keys;
}

std::string ConfigKey::EnvironmentName() const {
  std::string out = "SAMOVAR_";
  for (const char c : name) {
    out += c == '.' ? '_' : static_cast<char>(c >= 'a' && c <= 'z' ? c - 'a' + 'A' : c);
  }
  return out;
}

}  // namespace samovar
