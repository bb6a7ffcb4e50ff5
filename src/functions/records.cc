#include "functions/records.h"

#include <fmt/format.h>

#include <boost/json.hpp>
#include <charconv>

#include "functions/collection_access.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::int64_t kFormat = 1;

template <class T>
json::array ListOf(const std::vector<T>& items, auto&& write) {
  json::array list;
  for (const auto& item : items) list.push_back(write(item));
  return list;
}

json::object VersionDocument(const VersionRecord& v) {
  json::object doc{{"number", v.number},
                   {"config", v.config},
                   {"package", v.package},
                   {"revision_id", v.revision_id},
                   {"instance_revision", v.instance_revision},
                   {"last_modified", v.last_modified},
                   {"source_description", v.source_description},
                   {"state", v.state},
                   {"state_reason", v.state_reason},
                   {"state_reason_code", v.state_reason_code},
                   {"update_status", v.update_status},
                   {"update_reason", v.update_reason},
                   {"update_reason_code", v.update_reason_code}};
  if (!v.image.empty()) {
    doc["image"] = v.image;
    doc["image_uri"] = v.image_uri;
  }
  if (!v.warnings.empty()) doc["warnings"] = json::value_from(v.warnings);
  if (!v.pins.empty()) doc["pins"] = json::value_from(v.pins);
  doc["layers"] = ListOf(v.layers, [](const LayerUse& layer) {
    return json::object{{"arn", layer.arn}, {"size", layer.size}, {"package", layer.package}};
  });
  return doc;
}

std::string Text(const json::object& doc, std::string_view key) {
  const auto* value = doc.if_contains(key);
  return value && value->is_string() ? std::string(value->get_string()) : std::string();
}

std::uint64_t Number(const json::object& doc, std::string_view key) {
  const auto* value = doc.if_contains(key);
  return value && value->is_number() ? value->to_number<std::uint64_t>() : 0;
}

json::object Object(const json::object& doc, std::string_view key) {
  const auto* value = doc.if_contains(key);
  return value && value->is_object() ? value->get_object() : json::object();
}

json::array Array(const json::object& doc, std::string_view key) {
  const auto* value = doc.if_contains(key);
  return value && value->is_array() ? value->get_array() : json::array();
}

VersionRecord VersionOf(const json::object& doc) {
  VersionRecord v;
  v.number = Text(doc, "number");
  v.config = Object(doc, "config");
  v.package = Text(doc, "package");
  v.image = Text(doc, "image");
  v.image_uri = Text(doc, "image_uri");
  v.revision_id = Text(doc, "revision_id");
  v.instance_revision = Text(doc, "instance_revision");
  v.last_modified = Text(doc, "last_modified");
  v.source_description = Text(doc, "source_description");
  v.state = Text(doc, "state");
  v.state_reason = Text(doc, "state_reason");
  v.state_reason_code = Text(doc, "state_reason_code");
  v.update_status = Text(doc, "update_status");
  v.update_reason = Text(doc, "update_reason");
  v.update_reason_code = Text(doc, "update_reason_code");
  for (const auto& item : Array(doc, "warnings")) v.warnings.emplace_back(item.as_string());
  for (const auto& [name, generation] : Object(doc, "pins")) {
    v.pins[name] = generation.to_number<std::uint64_t>();
  }
  for (const auto& item : Array(doc, "layers")) {
    const auto& layer = item.as_object();
    v.layers.push_back({Text(layer, "arn"), Number(layer, "size"), Text(layer, "package")});
  }
  return v;
}

template <class T, class Write>
json::object MapOf(const std::map<std::string, T>& map, Write write) {
  json::object doc;
  for (const auto& [key, value] : map) doc[key] = write(value);
  return doc;
}

json::object AliasDocument(const AliasRecord& alias) {
  json::object doc{{"version", alias.version},
                   {"description", alias.description},
                   {"revision_id", alias.revision_id}};
  if (!alias.second_version.empty()) {
    doc["second_version"] = alias.second_version;
    doc["second_weight"] = alias.second_weight;
  }
  return doc;
}

AliasRecord AliasOf(const json::object& doc) {
  AliasRecord alias{Text(doc, "version"), Text(doc, "description"), Text(doc, "revision_id"),
                    Text(doc, "second_version"), 0};
  if (const auto* weight = doc.if_contains("second_weight")) {
    alias.second_weight = weight->to_number<double>();
  }
  return alias;
}

// boost::json throws on a document that does not have the shape that we wrote; here it stops.
template <class F>
auto Read(std::string_view document, std::string_view what, F read)
    -> Result<decltype(read(json::object()))> {
  try {
    const auto value = json::parse(json::string_view(document.data(), document.size()));
    const auto& doc = value.as_object();
    const auto format = doc.at("format").as_int64();
    if (format > kFormat) {
      return Fail(Code::kInternal,
                  fmt::format("read {}: format {} is of a newer version than this", what, format));
    }
    return read(doc);
  } catch (const std::exception& failed) {
    return Fail(Code::kInternal, fmt::format("read {}: {}", what, failed.what()));
  }
}

FunctionRecord FunctionOf(const json::object& doc) {
  FunctionRecord f;
  f.name = Text(doc, "name");
  f.latest = std::make_shared<VersionRecord>(VersionOf(doc.at("latest").as_object()));
  if (const auto* serving = doc.if_contains("serving")) {
    f.serving = std::make_shared<VersionRecord>(VersionOf(serving->as_object()));
  }
  f.next_version = Number(doc, "next_version");
  for (const auto& [name, alias] : Object(doc, "aliases")) {
    f.aliases[name] = AliasOf(alias.as_object());
  }
  for (const auto& [key, value] : Object(doc, "tags")) f.tags[key] = value.as_string();
  if (const auto* reserved = doc.if_contains("reserved_concurrency")) {
    f.reserved_concurrency = static_cast<int>(reserved->as_int64());
  }
  for (const auto& [key, value] : Object(doc, "policies")) f.policies[key] = value.as_array();
  for (const auto& [key, value] : Object(doc, "urls")) {
    f.urls[key] = {Text(value.as_object(), "id"), Object(value.as_object(), "config")};
  }
  for (const auto& [key, value] : Object(doc, "event_invoke")) {
    f.event_invoke[key] = value.as_object();
  }
  for (const auto& [key, value] : Object(doc, "runtime_management")) {
    f.runtime_management[key] = value.as_object();
  }
  for (const auto& [key, value] : Object(doc, "provisioned")) {
    const auto& config = value.as_object();
    f.provisioned[key] = {static_cast<int>(config.at("requested").as_int64()),
                          Text(config, "last_modified")};
  }
  f.recursive_loop = Text(doc, "recursive_loop");
  f.code_signing_arn = Text(doc, "code_signing_arn");
  return f;
}

LayerRecord LayerOf(const json::object& doc) {
  LayerRecord layer{Text(doc, "name"), Number(doc, "next_version"), {}};
  for (const auto& item : Array(doc, "versions")) {
    const auto& v = item.as_object();
    const auto number = Number(v, "version");
    layer.versions[number] = {
        number,
        Text(v, "package"),
        Number(v, "size"),
        Text(v, "sha256_b64"),
        Text(v, "created"),
        Object(v, "about"),
        Array(v, "statements"),
        Text(v, "policy_revision"),
    };
  }
  return layer;
}

}  // namespace

bool FunctionRecord::Egress() const {
  const auto tag = tags.find("samovar:network");
  return tag != tags.end() && tag->second == "egress";
}

std::string_view FunctionRecord::CheckTag() const {
  const auto found = tags.find("samovar:check");
  return found == tags.end() ? std::string_view() : found->second;
}

bool FunctionRecord::MayClone() const {
  const auto tag = tags.find("samovar:clone");
  return tag == tags.end() || tag->second != "off";
}

std::optional<std::string> FunctionRecord::Collections() const {
  const auto tag = tags.find(std::string(kCollectionsTag));
  return tag == tags.end() ? std::nullopt : std::optional(tag->second);
}

int FunctionRecord::HttpPort() const {
  constexpr int kRuntimeApi = 9001;
  const auto tag = tags.find("samovar:http");
  if (tag == tags.end()) return 0;
  int port = 0;
  const auto end = tag->second.data() + tag->second.size();
  const auto [rest, failed] = std::from_chars(tag->second.data(), end, port);
  const bool good = failed == std::errc() && rest == end && port > 0 && port < 65536;
  return good && port != kRuntimeApi ? port : 0;
}

int FunctionRecord::ProvisionedTotal() const {
  int sum = 0;
  for (const auto& [qualifier, config] : provisioned) sum += config.requested;
  return sum;
}

std::string WriteFunction(const FunctionRecord& f) {
  const auto same = [](const auto& value) { return value; };
  json::object doc{{"format", kFormat},
                   {"name", f.name},
                   {"latest", VersionDocument(*f.latest)},
                   {"next_version", f.next_version},
                   {"recursive_loop", f.recursive_loop},
                   {"code_signing_arn", f.code_signing_arn}};
  if (f.serving) doc["serving"] = VersionDocument(*f.serving);
  if (f.reserved_concurrency) doc["reserved_concurrency"] = *f.reserved_concurrency;
  doc["aliases"] = MapOf(f.aliases, AliasDocument);
  doc["tags"] = MapOf(f.tags, same);
  doc["policies"] = MapOf(f.policies, same);
  doc["event_invoke"] = MapOf(f.event_invoke, same);
  doc["runtime_management"] = MapOf(f.runtime_management, same);
  doc["provisioned"] = MapOf(f.provisioned, [](const ProvisionedRecord& config) {
    return json::object{{"requested", config.requested}, {"last_modified", config.last_modified}};
  });
  doc["urls"] = MapOf(f.urls, [](const UrlRecord& url) {
    return json::object{{"id", url.id}, {"config", url.config}};
  });
  return json::serialize(doc);
}

std::string WriteVersion(const VersionRecord& record) {
  auto doc = VersionDocument(record);
  doc["format"] = kFormat;
  return json::serialize(doc);
}

std::string WriteLayer(const LayerRecord& layer) {
  json::array versions;
  for (const auto& [number, v] : layer.versions) {
    versions.push_back(json::object{{"version", number},
                                    {"package", v.package},
                                    {"size", v.size},
                                    {"sha256_b64", v.sha256_b64},
                                    {"created", v.created},
                                    {"about", v.about},
                                    {"statements", v.statements},
                                    {"policy_revision", v.policy_revision}});
  }
  return json::serialize(json::object{{"format", kFormat},
                                      {"name", layer.name},
                                      {"next_version", layer.next_version},
                                      {"versions", std::move(versions)}});
}

Result<FunctionRecord> ReadFunction(std::string_view document) {
  return Read(document, "a function", FunctionOf);
}
Result<VersionRecord> ReadVersion(std::string_view document) {
  return Read(document, "a version", VersionOf);
}
Result<LayerRecord> ReadLayer(std::string_view document) {
  return Read(document, "a layer", LayerOf);
}

std::string FunctionKey(std::string_view name) {
  return fmt::format("functions/function/{}", name);
}
std::string VersionKey(std::string_view name, std::uint64_t number) {
  return fmt::format("functions/version/{}/{:020}", name, number);
}
std::string LayerKey(std::string_view name) { return fmt::format("functions/layer/{}", name); }
std::string CodeSigningKey(std::string_view id) {
  return fmt::format("functions/code-signing/{}", id);
}

}  // namespace samovar
