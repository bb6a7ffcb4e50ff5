#include "images/image.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <charconv>
#include <set>

#include "wire/sha256.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxLayers = 128;
constexpr std::size_t kMaxName = 255;
constexpr std::size_t kMaxTag = 128;

std::unexpected<Error> Invalid(std::string message) {
  return Fail(Code::kInvalid, std::move(message));
}

Result<json::object> ReadObject(std::string_view text, std::string_view what) {
  boost::system::error_code failed;
  auto value = json::parse(text, failed);
  if (failed || !value.is_object()) return Invalid(fmt::format("{} is no JSON object", what));
  return std::move(value.get_object());
}

const json::value& Member(const json::object& object, std::string_view name) {
  static const json::value kNone;
  const auto* found = object.if_contains(name);
  return found ? *found : kNone;
}

std::string Text(const json::object& object, std::string_view name) {
  const auto& value = Member(object, name);
  return value.is_string() ? std::string(value.get_string()) : "";
}

Result<std::vector<std::string>> Texts(const json::object& object, std::string_view name) {
  std::vector<std::string> texts;
  const auto& value = Member(object, name);
  if (value.is_null()) return texts;
  if (!value.is_array()) return Invalid(fmt::format("config.{} is no list", name));
  for (const auto& item : value.get_array()) {
    if (!item.is_string() || item.get_string().find('\0') != json::string::npos) {
      return Invalid(fmt::format("config.{} holds what is no text", name));
    }
    texts.emplace_back(item.get_string());
  }
  return texts;
}

Result<void> ReadLayers(const json::object& configuration, Image& image) {
  const auto* rootfs = Member(configuration, "rootfs").if_object();
  const auto* ids = rootfs ? Member(*rootfs, "diff_ids").if_array() : nullptr;
  if (!ids || ids->empty()) return Invalid("the configuration's rootfs.diff_ids names no layer");
  if (ids->size() > kMaxLayers) {
    return Invalid(fmt::format("the image has {} layers; it may have {}", ids->size(), kMaxLayers));
  }
  for (const auto& id : *ids) {
    TRY(auto layer, ReadDigest(id.is_string() ? std::string_view(id.get_string()) : "",
                               "the configuration's rootfs.diff_ids"));
    image.layers.push_back(std::move(layer));
  }
  return {};
}

// "8080/tcp" and "8080"
void ReadPorts(const json::object& config, Image& image) {
  const auto* ports = Member(config, "ExposedPorts").if_object();
  if (!ports) return;
  for (const auto& [name, ignored] : *ports) {
    int port = 0;
    const auto end = name.data() + name.size();
    const auto [rest, failed] = std::from_chars(name.data(), end, port);
    const std::string_view kind(rest, static_cast<std::size_t>(end - rest));
    if (failed == std::errc() && (kind.empty() || kind == "/tcp") && port > 0 && port < 65536) {
      image.ports.push_back(port);
    }
  }
  std::ranges::sort(image.ports);
}

Result<void> CheckManifest(std::string_view text, std::string_view configuration,
                           std::size_t layers) {
  TRY(const auto manifest, ReadObject(text, "the manifest"));
  const auto* config = Member(manifest, "config").if_object();
  TRY(const auto named,
      ReadDigest(config ? Text(*config, "digest") : "", "the manifest's config.digest"));
  if (named != Sha256Hex(configuration)) {
    return Invalid("the manifest's config.digest is another configuration's");
  }
  const auto* listed = Member(manifest, "layers").if_array();
  if (!listed || listed->size() != layers) {
    return Invalid("the manifest's layers are not as many as the configuration's diff_ids");
  }
  return {};
}

bool NameChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
         c == '_' || c == '-';
}

bool IsNamePart(std::string_view part) {
  return !part.empty() && part.front() != '.' && part.front() != '-' &&
         std::ranges::all_of(part, NameChar);
}

}  // namespace

Result<std::string> ReadDigest(std::string_view text, std::string_view what) {
  constexpr std::string_view kKind = "sha256:";
  const auto digits = text.starts_with(kKind) ? text.substr(kKind.size()) : std::string_view();
  const bool good = digits.size() == 64 && std::ranges::all_of(digits, [](char c) {
                      return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
                    });
  if (!good) return Invalid(fmt::format("{}: expected sha256: and 64 digits", what));
  return std::string(digits);
}

Result<Image> ReadImage(std::string_view manifest, std::string_view configuration) {
  Image image;
  image.digest = Sha256Hex(manifest);
  TRY(const auto document, ReadObject(configuration, "the configuration"));
  const auto os = Text(document, "os"), processor = Text(document, "architecture");
  if (os != "linux" || processor != "amd64") {
    return Invalid(fmt::format("the image is for {}/{}; this server runs linux/amd64",
                               os.empty() ? "?" : os, processor.empty() ? "?" : processor));
  }
  TRY(ReadLayers(document, image));
  TRY(CheckManifest(manifest, configuration, image.layers.size()));
  image.created = Text(document, "created");
  const auto* config = Member(document, "config").if_object();
  if (!config) return image;
  TRY(image.entrypoint, Texts(*config, "Entrypoint"));
  TRY(image.command, Texts(*config, "Cmd"));
  TRY(image.environment, Texts(*config, "Env"));
  image.working_folder = Text(*config, "WorkingDir");
  if (!image.working_folder.empty() && !image.working_folder.starts_with('/')) {
    return Invalid("config.WorkingDir is not absolute");
  }
  ReadPorts(*config, image);
  return image;
}

Result<std::string> FullImageName(std::string_view name) {
  const auto refuse = [&] {
    return Invalid(fmt::format("'{}' is no image name (as in shop:1 or registry:5000/team/shop:1)",
                               name.substr(0, kMaxName)));
  };
  if (name.empty() || name.size() > kMaxName) return refuse();
  const auto last = name.rfind('/') == name.npos ? 0 : name.rfind('/') + 1;
  const auto colon = name.find(':', last);
  std::string_view path = name.substr(0, colon);
  const auto tag = colon == name.npos ? std::string_view("latest") : name.substr(colon + 1);
  if (!IsNamePart(tag) || tag.size() > kMaxTag) return refuse();
  for (bool first = true;; first = false) {
    const auto end = std::min(path.find('/'), path.size());
    auto part = path.substr(0, end);
    const auto port = part.find(':');
    if (first && end < path.size() && port != part.npos) {  // of a registry
      const auto digits = part.substr(port + 1);
      if (digits.empty() || digits.find_first_not_of("0123456789") != digits.npos) return refuse();
      part = part.substr(0, port);
    }
    if (!IsNamePart(part)) return refuse();
    if (end == path.size()) break;
    path.remove_prefix(end + 1);
  }
  return colon == name.npos ? fmt::format("{}:latest", name) : std::string(name);
}

}  // namespace samovar
