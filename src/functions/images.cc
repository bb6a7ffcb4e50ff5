#include "functions/images.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "functions/input.h"
#include "images/image_store.h"

namespace samovar {
namespace {

namespace json = boost::json;

std::vector<std::string> Texts(const json::array& list) {
  std::vector<std::string> texts;
  for (const auto& item : list) {
    if (item.is_string()) texts.emplace_back(item.get_string());
  }
  return texts;
}

std::vector<std::string> ProgramOf(const json::object& config, const Image& image) {
  auto program = image.entrypoint;
  auto command = image.command;
  if (const auto* own = ObjectOf(config, "ImageConfig")) {
    if (const auto* list = ArrayOf(*own, "EntryPoint"); list && !list->empty()) {
      program = Texts(*list);
    }
    if (const auto* list = ArrayOf(*own, "Command"); list && !list->empty()) {
      command = Texts(*list);
    }
  }
  program.insert(program.end(), command.begin(), command.end());
  return program;
}

Result<ImagePtr> Find(const VersionRecord& version, const RegistryOptions& options) {
  if (!options.images) return Fail(Code::kUnsupported, "this server keeps no images");
  return options.images->Find("sha256:" + version.image);
}

}  // namespace

bool IsImage(const json::object& config) { return TextOf(config, "PackageType") == "Image"; }

Result<void> ApplyImageConfig(const json::object& input, json::object& config) {
  const bool image = IsImage(config);
  const auto* wanted = ObjectOf(input, "ImageConfig");
  if (!image) {
    if (!wanted || wanted->empty()) return {};
    return InvalidParameter(
        "Please don't provide ImageConfig when the intended function PackageType is Zip.");
  }
  const auto* layers = ArrayOf(input, "Layers");
  if (Has(input, "Runtime") || Has(input, "Handler") || (layers && !layers->empty())) {
    return InvalidParameter(
        "Please don't provide Handler or Runtime or Layers when the intended function PackageType "
        "is Image.");
  }
  if (!wanted) return {};
  const auto folder = TextOf(*wanted, "WorkingDirectory");
  if (!folder.empty() && !folder.starts_with('/')) {
    return InvalidParameter(
        fmt::format("ImageConfig.WorkingDirectory {} is not an absolute path.", folder));
  }
  for (const auto* key : {"EntryPoint", "Command"}) {
    const auto* list = ArrayOf(*wanted, key);
    for (const auto& text : list ? Texts(*list) : std::vector<std::string>()) {
      if (text.find('\0') != std::string::npos) {
        return InvalidParameter(fmt::format("ImageConfig.{} holds a NUL character.", key));
      }
    }
  }
  if (wanted->empty()) {
    config.erase("ImageConfig");
  } else {
    config["ImageConfig"] = *wanted;
  }
  return {};
}

Result<void> TakeImage(const json::object& code, const RegistryOptions& options,
                       VersionRecord& version) {
  const auto uri = TextOf(code, "ImageUri");
  if (uri.empty()) {
    return InvalidParameter(
        "Please provide ImageUri as the code of a function with packageType Image.");
  }
  if (!options.images) return Unsupported("ImageUri is not supported by this server.");
  auto image = options.images->Find(uri);
  if (!image) {
    return InvalidParameter(
        fmt::format("Source image {} does not exist. Provide a valid source image: import it first "
                    "(samovar image pull {}, or samovar image import FILE). {}.",
                    uri, uri, image.error().message));
  }
  version.image = (*image)->digest;
  version.image_uri = uri;
  version.config["CodeSha256"] = version.image;
  version.config["CodeSize"] = 0;
  return CheckImage(version, options);
}

Result<void> CheckImage(const VersionRecord& version, const RegistryOptions& options) {
  if (version.image.empty()) return {};
  TRY(const auto image, Find(version, options));
  const auto program = ProgramOf(version.config, *image);
  if (program.empty() || program.front().empty()) {
    return InvalidParameter(fmt::format(
        "Image {} names no program: give ImageConfig.EntryPoint or ImageConfig.Command.",
        version.image_uri));
  }
  return {};
}

std::shared_ptr<const VersionImage> RunnableImage(const VersionRecord& version, int http_port,
                                                  const RegistryOptions& options) {
  const auto found = Find(version, options);
  if (!found) return nullptr;
  const Image& image = **found;
  auto made = std::make_shared<VersionImage>();
  made->folders = options.images->Folders(image);
  made->program = ProgramOf(version.config, image);
  made->environment = image.environment;
  made->working_folder = image.working_folder;
  if (const auto* own = ObjectOf(version.config, "ImageConfig")) {
    if (const auto folder = TextOf(*own, "WorkingDirectory"); !folder.empty()) {
      made->working_folder = folder;
    }
  }
  made->http_port = http_port;
  return made;
}

json::object DescribeImageCode(const VersionRecord& version) {
  std::string_view name = version.image_uri;
  name = name.substr(0, name.find('@'));
  const auto colon = name.rfind(':');
  if (colon != name.npos && name.find('/', colon) == name.npos) name = name.substr(0, colon);
  const auto resolved = name == "sha256" ? fmt::format("sha256:{}", version.image)
                                         : fmt::format("{}@sha256:{}", name, version.image);
  return {
      {"RepositoryType", "ECR"}, {"ImageUri", version.image_uri}, {"ResolvedImageUri", resolved}};
}

Result<void> CheckHttpTag(const FunctionRecord& function) {
  const auto tag = function.tags.find("samovar:http");
  if (tag == function.tags.end()) return {};
  if (function.HttpPort() == 0) {
    return InvalidParameter(
        fmt::format("Tag samovar:http is \"{}\"; it may be a port from 1 to 65535, other than that "
                    "of the Runtime API (9001).",
                    tag->second));
  }
  if (!IsImage(function.latest->config)) {
    return InvalidParameter("Tag samovar:http is for functions of PackageType Image.");
  }
  return {};
}

}  // namespace samovar
