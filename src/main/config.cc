#include "main/config.h"

#include <pwd.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <charconv>
#include <fstream>
#include <sstream>

#include "main/toml.h"
#include "main/yaml.h"

extern char** environ;

namespace samovar {

namespace {

const ConfigKey* FindKey(std::string_view name) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.name == name) return &key;
  }
  return nullptr;
}

bool IsSection(std::string_view name) {
  for (const ConfigKey& key : ConfigKeys()) {
    if (key.name.size() > name.size() && key.name.starts_with(name) &&
        key.name[name.size()] == '.') {
      return true;
    }
  }
  return false;
}

std::size_t EditDistance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> row(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) row[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    std::size_t diagonal = row[0];
    row[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      const std::size_t above = row[j];
      row[j] = std::min({above + 1, row[j - 1] + 1, diagonal + (a[i - 1] == b[j - 1] ? 0 : 1)});
      diagonal = above;
    }
  }
  return row[b.size()];
}

std::string DidYouMean(std::string_view name) {
  std::string_view best;
  std::size_t least = 4;  // farther than this is no misspelling
  for (const ConfigKey& key : ConfigKeys()) {
    const std::size_t distance = EditDistance(name, key.name);
    const bool same_leaf = key.name.ends_with(fmt::format(".{}", name));
    if (same_leaf) return fmt::format("; did you mean {}?", key.name);
    if (distance < least) {
      least = distance;
      best = key.name;
    }
  }
  if (best.empty()) return "; `samovar config` lists every key";
  return fmt::format("; did you mean {}?", best);
}

class Loader {
 public:
  Result<void> Default(const ConfigKey& key, const ConfigSources& sources) {
    ConfigText text{.list = key.kind == "list of paths", .items = {}};
    if (key.name == "data_dir") {
      text.items = {sources.root || sources.home.empty() ? "/var/lib/samovar"
                                                         : sources.home + "/.local/share/samovar"};
    } else if (!text.list) {
      text.items = {std::string(key.fallback)};
    }
    return Set(key, text, "", "default");
  }

  Result<void> File(const YamlNode& node, const std::string& file, const std::string& prefix) {
    for (const auto& [name, value] : node.fields) {
      const std::string full = prefix + name;
      const std::string where = fmt::format("{}:{}", file, value.line);
      if (!value.tag.empty()) {
        return Fail(Code::kInvalid,
                    fmt::format("{}: {}: expected no tag, got {}", where, full, value.tag));
      }
      if (const ConfigKey* key = FindKey(full)) {
        TRY(ConfigText text, Text(*key, value, where));
        TRY(Set(*key, text, where + ": ", where));
        continue;
      }
      if (!IsSection(full)) {
        return Fail(Code::kInvalid,
                    fmt::format("{}: {}: no such key{}", where, full, DidYouMean(full)));
      }
      if (value.IsNull()) continue;  // a section with everything commented out
      if (!value.IsMap()) {
        return Fail(Code::kInvalid, fmt::format("{}: {}: expected keys below it, got {}", where,
                                                full, Shape(value)));
      }
      TRY(File(value, file, full + "."));
    }
    return {};
  }

  Result<void> Named(const std::string& name, const std::string& value, const std::string& where) {
    const ConfigKey* key = FindKey(name);
    if (key == nullptr) {
      return Fail(Code::kInvalid,
                  fmt::format("{}: {}: no such key{}", where, name, DidYouMean(name)));
    }
    return Set(*key, Split(*key, value), where + ": ", where);
  }

  LoadedConfig Take() { return std::move(loaded_); }

 private:
  static std::string Shape(const YamlNode& value) {
    switch (value.kind) {
      case YamlNode::Kind::kNull:
        return "nothing";
      case YamlNode::Kind::kScalar:
        return fmt::format("\"{}\"", value.scalar);
      case YamlNode::Kind::kList:
        return "a list";
      case YamlNode::Kind::kMap:
        return "a map";
    }
    return "";
  }

  static Result<ConfigText> Text(const ConfigKey& key, const YamlNode& value,
                                 const std::string& where) {
    ConfigText text;
    if (value.IsScalar()) {
      text.items = {value.scalar};
      text.list = key.kind == "list of paths";  // one path may stand without brackets
      return text;
    }
    bool scalars = value.IsList();
    for (const YamlNode& item : value.items) scalars = scalars && item.IsScalar();
    if (!scalars) {
      return Fail(Code::kInvalid,
                  fmt::format("{}: {}: expected a {}, got {}", where, key.name, key.kind,
                              value.IsList() ? "a list of other than text" : Shape(value)));
    }
    text.list = true;
    for (const YamlNode& item : value.items) text.items.push_back(item.scalar);
    return text;
  }

  // In the environment and on the command line a list is separated by colons, as PATH is.
  static ConfigText Split(const ConfigKey& key, const std::string& value) {
    if (key.kind != "list of paths") return {.list = false, .items = {value}};
    ConfigText text{.list = true, .items = {}};
    std::istringstream in(value);
    for (std::string item; std::getline(in, item, ':');) {
      if (!item.empty()) text.items.push_back(item);
    }
    return text;
  }

  Result<void> Set(const ConfigKey& key, const ConfigText& text, const std::string& where,
                   std::string origin) {
    if (const auto expected = key.set(loaded_.config, text)) {
      return Fail(Code::kInvalid,
                  fmt::format("{}{}: expected {}, got {}", where, key.name, *expected,
                              text.list ? "[" + text.Show() + "]" : "\"" + text.Show() + "\""));
    }
    loaded_.origin[std::string(key.name)] = std::move(origin);
    return {};
  }

  LoadedConfig loaded_;
};

Result<std::string> ReadWhole(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  if (!in || !(out << in.rdbuf())) {
    // An empty file sets failbit on <<; that is fine.
    if (in.is_open() && in.peek() == std::ifstream::traits_type::eof()) return std::string();
    return Fail(Code::kInvalid, ErrnoError("cannot read " + path).message);
  }
  return out.str();
}

}  // namespace

Bytes MemoryBudget::Of(Bytes host_memory) const {
  if (percent == 0) return size;
  return {host_memory.count / 100 * static_cast<std::uint64_t>(percent)};
}

std::string ConfigText::Show() const {
  std::string out;
  for (const std::string& item : items) out += (out.empty() ? "" : ", ") + item;
  return out;
}

std::string Config::UrlSuffix(std::uint16_t bound_port) const {
  return url_suffix.empty() ? fmt::format("localhost:{}", bound_port) : url_suffix;
}

Result<ListenAddress> ParseListen(std::string_view text) {
  const auto bad = [&] {
    return Fail(Code::kInvalid, fmt::format("expected HOST:PORT, got \"{}\"", text));
  };
  const std::size_t colon = text.rfind(':');
  if (colon == std::string_view::npos) return bad();
  std::string_view host = text.substr(0, colon);
  const std::string_view port = text.substr(colon + 1);
  if (host.starts_with('[') && host.ends_with(']')) {
    host = host.substr(1, host.size() - 2);
  } else if (host.find(':') != std::string_view::npos) {
    return bad();
  }
  ListenAddress address{.host = std::string(host), .port = 0};
  const auto [end, error] = std::from_chars(port.data(), port.data() + port.size(), address.port);
  if (host.empty() || error != std::errc() || end != port.data() + port.size()) return bad();
  return address;
}

bool ListenAddress::Loopback() const {
  return host == "localhost" || host == "::1" || host.starts_with("127.");
}

Result<UserId> ResolveUser(const std::string& user) {
  constexpr UserId kOwn{.uid = 64566, .gid = 64566};
  const passwd* entry = getpwnam(user == "auto" ? "samovar" : user.c_str());
  if (entry != nullptr) return UserId{.uid = entry->pw_uid, .gid = entry->pw_gid};
  if (user == "auto") return kOwn;
  std::uint32_t uid = 0;
  const auto [end, error] = std::from_chars(user.data(), user.data() + user.size(), uid);
  if (error != std::errc() || end != user.data() + user.size() || uid == 0) {
    return Fail(Code::kInvalid, fmt::format("user: no user \"{}\" on this host", user));
  }
  entry = getpwuid(uid);
  return UserId{.uid = uid, .gid = entry != nullptr ? entry->pw_gid : uid};
}

Result<LoadedConfig> LoadConfig(const ConfigSources& sources) {
  Loader loader;
  for (const ConfigKey& key : ConfigKeys()) TRY(loader.Default(key, sources));
  if (!sources.file.empty()) {
    const bool toml = sources.file.ends_with(".toml");
    TRY(YamlNode root, toml ? ParseToml(sources.file_text, sources.file)
                            : ParseYaml(sources.file_text, sources.file));
    if (!root.IsMap() && !root.IsNull()) {
      return Fail(Code::kInvalid,
                  fmt::format("{}:{}: expected \"key: value\" lines", sources.file, root.line));
    }
    TRY(loader.File(root, sources.file, ""));
  }
  for (const ConfigKey& key : ConfigKeys()) {
    const auto found = sources.environment.find(key.EnvironmentName());
    if (found == sources.environment.end()) continue;
    TRY(loader.Named(std::string(key.name), found->second, found->first));
  }
  for (const auto& [name, value] : sources.flags) {
    TRY(loader.Named(name, value, "command line"));
  }
  return loader.Take();
}

Result<LoadedConfig> LoadConfigFromSystem(const std::string& path,
                                          std::vector<std::pair<std::string, std::string>> flags) {
  ConfigSources sources{.file = path,
                        .file_text = {},
                        .environment = {},
                        .flags = std::move(flags),
                        .root = geteuid() == 0,
                        .home = {}};
  for (char** entry = environ; *entry != nullptr; ++entry) {
    const std::string_view line = *entry;
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    sources.environment.emplace(line.substr(0, equals), line.substr(equals + 1));
  }
  if (sources.environment.contains("HOME")) sources.home = sources.environment["HOME"];
  if (sources.file.empty()) sources.file = sources.environment["SAMOVAR_CONFIG"];
  if (sources.file.empty()) {
    const std::string usual =
        sources.root ? "/etc/samovar/config" : sources.home + "/.config/samovar/config";
    for (const char* ending : {".toml", ".yaml"}) {
      if (access((usual + ending).c_str(), F_OK) == 0) sources.file = usual + ending;
    }
  }
  if (!sources.file.empty()) {
    TRY(sources.file_text, ReadWhole(sources.file));
  }
  return LoadConfig(sources);
}

}  // namespace samovar
