#include "main/credentials.h"

#include <fmt/format.h>

#include <cstdlib>
#include <fstream>
#include <optional>
#include <sstream>

namespace samovar {

namespace {

std::string_view Trim(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t from = text.find_first_not_of(kBlank);
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(kBlank) - from + 1);
}

std::string Value(const std::map<std::string, std::string>& map, const std::string& key) {
  const auto found = map.find(key);
  return found == map.end() ? "" : found->second;
}

std::string ReadIfThere(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// The keys in a section, where it has any.
std::optional<SigningCredentials> KeysOf(const IniFile& file, const std::string& section) {
  const auto found = file.find(section);
  if (found == file.end()) return std::nullopt;
  SigningCredentials keys{.access_key_id = Value(found->second, "aws_access_key_id"),
                          .secret_access_key = Value(found->second, "aws_secret_access_key"),
                          .session_token = Value(found->second, "aws_session_token")};
  if (keys.access_key_id.empty() && keys.secret_access_key.empty()) return std::nullopt;
  return keys;
}

}  // namespace

IniFile ParseIni(std::string_view text) {
  IniFile file;
  std::map<std::string, std::string>* section = nullptr;
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    const std::string_view line = text.substr(0, end);
    text.remove_prefix(end == std::string_view::npos ? text.size() : end + 1);
    const std::string_view bare = Trim(line);
    if (bare.empty() || bare[0] == '#' || bare[0] == ';') continue;
    if (bare[0] == '[') {
      const std::size_t close = bare.find(']');
      if (close == std::string_view::npos) continue;
      section = &file[std::string(Trim(bare.substr(1, close - 1)))];
      continue;
    }
    const std::size_t equals = bare.find('=');
    const bool nested = line[0] == ' ' || line[0] == '\t';
    if (section == nullptr || equals == std::string_view::npos || nested) continue;
    std::string_view value = bare.substr(equals + 1);
    if (const std::size_t comment = value.find(" #"); comment != std::string_view::npos) {
      value = value.substr(0, comment);
    }
    (*section)[std::string(Trim(bare.substr(0, equals)))] = std::string(Trim(value));
  }
  return file;
}

Result<FoundCredentials> FindCredentials(const CredentialSources& sources) {
  const auto& env = sources.environment;
  FoundCredentials found;
  std::string profile = Value(env, "AWS_PROFILE");
  const bool asked = !profile.empty();
  if (!asked) profile = "default";
  const IniFile config = ParseIni(sources.config_text);
  const std::string config_section = profile == "default" ? profile : "profile " + profile;
  if (const auto section = config.find(config_section); section != config.end()) {
    const std::string region = Value(section->second, "region");
    if (!region.empty()) found.region = region;
  }
  for (const char* name : {"AWS_DEFAULT_REGION", "AWS_REGION"}) {
    const std::string region = Value(env, name);
    if (!region.empty()) found.region = region;
  }
  const std::string id = Value(env, "AWS_ACCESS_KEY_ID");
  if (!id.empty()) {
    found.keys = {id, Value(env, "AWS_SECRET_ACCESS_KEY"), Value(env, "AWS_SESSION_TOKEN")};
    found.origin = "the environment";
    if (found.keys.secret_access_key.empty()) {
      return Fail(Code::kInvalid, "AWS_ACCESS_KEY_ID is set, AWS_SECRET_ACCESS_KEY is not");
    }
    return found;
  }
  auto keys = KeysOf(ParseIni(sources.credentials_text), profile);
  if (!keys) keys = KeysOf(config, config_section);
  if (!keys && asked) {
    return Fail(Code::kInvalid, fmt::format("AWS_PROFILE: no keys for profile {} in the files of "
                                            "~/.aws",
                                            profile));
  }
  if (keys && (keys->access_key_id.empty() || keys->secret_access_key.empty())) {
    return Fail(Code::kInvalid, fmt::format("profile {} in ~/.aws lacks aws_access_key_id or "
                                            "aws_secret_access_key",
                                            profile));
  }
  found.keys = keys ? *keys : SigningCredentials{"samovar", "samovar", ""};
  found.origin = keys ? "profile " + profile : "no key";
  return found;
}

Result<FoundCredentials> FindCredentialsOnSystem() {
  CredentialSources sources;
  for (const char* name : {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN",
                           "AWS_PROFILE", "AWS_REGION", "AWS_DEFAULT_REGION",
                           "AWS_SHARED_CREDENTIALS_FILE", "AWS_CONFIG_FILE", "HOME"}) {
    if (const char* value = std::getenv(name)) sources.environment[name] = value;
  }
  const std::string home = Value(sources.environment, "HOME");
  std::string credentials = Value(sources.environment, "AWS_SHARED_CREDENTIALS_FILE");
  std::string config = Value(sources.environment, "AWS_CONFIG_FILE");
  if (credentials.empty()) credentials = home + "/.aws/credentials";
  if (config.empty()) config = home + "/.aws/config";
  sources.credentials_text = ReadIfThere(credentials);
  sources.config_text = ReadIfThere(config);
  return FindCredentials(sources);
}

}  // namespace samovar
