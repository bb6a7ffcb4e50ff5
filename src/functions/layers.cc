// Layers: packages that functions share, in numbered versions.

#include <fmt/format.h>

#include "base/encoding.h"
#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kPage = 50;
// A layer is unpacked before the answer, so that a damaged one is refused at once; a larger one is
// left to the first function that uses it, as a client would not wait that long.
constexpr auto kUnpackAtOnce = Bytes::MiB(256);

Error NoLayer() {
  return Error{Code::kNotFound, "The resource you requested does not exist.",
               "ResourceNotFoundException"};
}

// A layer is named by its name or by its ARN.
std::string LayerNameOf(const json::object& input) {
  const auto name = TextOf(input, "LayerName");
  const auto ref = ParseLayerArn(name);
  return std::string(ref ? ref->name : name);
}

bool Suits(const LayerVersionRecord& version, const json::object& input) {
  const std::pair<std::string_view, std::string_view> filters[] = {
      {"CompatibleRuntime", "CompatibleRuntimes"},
      {"CompatibleArchitecture", "CompatibleArchitectures"}};
  for (const auto& [wanted, has] : filters) {
    const auto value = TextOf(input, wanted);
    if (value.empty()) continue;
    const auto* list = ArrayOf(version.about, has);
    const auto one = [&](const json::value& item) {
      return item.is_string() && std::string_view(item.get_string()) == value;
    };
    if (!list || std::none_of(list->begin(), list->end(), one)) return false;
  }
  return true;
}

}  // namespace

LayerPtr LambdaRegistry::FindLayer(std::string_view name) const {
  const auto found = layers_.find(name);
  return found == layers_.end() ? nullptr : found->second;
}

json::object LambdaRegistry::DescribeLayer(const LayerRecord& layer,
                                           const LayerVersionRecord& version, bool content) const {
  auto answer = version.about;
  const auto arn = LayerArn(options_, layer.name);
  answer["LayerVersionArn"] = fmt::format("{}:{}", arn, version.version);
  answer["Version"] = version.version;
  answer["CreatedDate"] = version.created;
  if (!content) return answer;
  answer["LayerArn"] = arn;
  answer["Content"] = json::object{
      {"CodeSha256", version.sha256_b64},
      {"CodeSize", version.size},
      {"Location", fmt::format("{}/samovar/v1/packages/{}", options_.endpoint, version.package)}};
  return answer;
}

LambdaRegistry::Answer LambdaRegistry::PublishLayerVersion(json::object input) {
  const auto name = LayerNameOf(input);
  const auto* content = ObjectOf(input, "Content");
  CO_TRY(const auto package, co_await TakeCode(content ? *content : json::object()));
  if (package.size < kUnpackAtOnce) {
    auto& packages = packages_;
    CO_TRY(co_await RunBlocking(
        pool_, [&packages, hash = package.hash] { return packages.Unpack(hash); }));
  }
  const auto edit = [this, input, package](LayerRecord& layer) -> Result<json::object> {
    LayerVersionRecord version;
    version.version = layer.next_version++;
    version.package = package.hash;
    version.size = package.size.count;
    version.sha256_b64 = package.sha256_b64;
    version.created = Now();
    version.about["Description"] = TextOf(input, "Description");
    for (const auto* key : {"LicenseInfo", "CompatibleRuntimes", "CompatibleArchitectures"}) {
      if (Has(input, key)) version.about[key] = input.at(key);
    }
    auto answer = DescribeLayer(layer, version, true);
    layer.versions[version.version] = std::move(version);
    return answer;
  };
  co_return co_await ChangeLayer(name, edit);
}

LambdaRegistry::Answer LambdaRegistry::GetLayerVersion(json::object input) {
  const auto number = IntOf(input, "VersionNumber").value_or(0);
  if (number < 1) co_return InvalidParameter("Layer Version Cannot be less than 1");
  const auto layer = FindLayer(LayerNameOf(input));
  if (!layer) co_return std::unexpected(NoLayer());
  const auto version = layer->versions.find(static_cast<std::uint64_t>(number));
  if (version == layer->versions.end()) co_return std::unexpected(NoLayer());
  co_return DescribeLayer(*layer, version->second, true);
}

LambdaRegistry::Answer LambdaRegistry::GetLayerVersionByArn(json::object input) {
  const auto arn = TextOf(input, "Arn");
  const auto ref = ParseLayerArn(arn);
  if (!ref || !ref->version) {
    co_return Validation(
        fmt::format("Value '{}' at 'arn' failed to satisfy constraint: Member "
                    "must be the ARN of a layer version",
                    arn));
  }
  const auto layer = FindLayer(ref->name);
  if (!layer || !layer->versions.contains(*ref->version)) co_return std::unexpected(NoLayer());
  co_return DescribeLayer(*layer, layer->versions.at(*ref->version), true);
}

LambdaRegistry::Answer LambdaRegistry::ListLayers(json::object input) {
  std::map<std::string, const LayerVersionRecord*> newest;
  for (const auto& [name, layer] : layers_) {
    for (const auto& [number, version] : layer->versions) {
      if (Suits(version, input)) newest[name] = &version;
    }
  }
  const std::vector<std::pair<std::string, const LayerVersionRecord*>> items(newest.begin(),
                                                                             newest.end());
  const auto page = PageOf(items, input, kPage, [](const auto& item) { return item.first; });
  json::array layers;
  for (auto i = page.first; i < page.last; ++i) {
    const auto& [name, version] = items[i];
    layers.push_back(
        json::object{{"LayerName", name},
                     {"LayerArn", LayerArn(options_, name)},
                     {"LatestMatchingVersion", DescribeLayer(*FindLayer(name), *version, false)}});
  }
  json::object answer{{"Layers", std::move(layers)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::ListLayerVersions(json::object input) {
  const auto layer = FindLayer(LayerNameOf(input));
  std::vector<std::pair<std::string, const LayerVersionRecord*>> items;
  if (layer) {
    // Newest first; the marker counts down with them.
    for (auto at = layer->versions.rbegin(); at != layer->versions.rend(); ++at) {
      if (!Suits(at->second, input)) continue;
      items.emplace_back(fmt::format("{:020}", ~at->first), &at->second);
    }
  }
  const auto page = PageOf(items, input, kPage, [](const auto& item) { return item.first; });
  json::array versions;
  for (auto i = page.first; i < page.last; ++i) {
    versions.push_back(DescribeLayer(*layer, *items[i].second, false));
  }
  json::object answer{{"LayerVersions", std::move(versions)}};
  if (!page.next.empty()) answer["NextMarker"] = page.next;
  co_return answer;
}

LambdaRegistry::Answer LambdaRegistry::DeleteLayerVersion(json::object input) {
  const auto number = IntOf(input, "VersionNumber").value_or(0);
  if (number < 1) co_return InvalidParameter("Layer Version Cannot be less than 1");
  const auto name = LayerNameOf(input);
  const auto layer = FindLayer(name);
  const auto key = static_cast<std::uint64_t>(number);
  // What is not there is deleted already. Functions that use it keep it.
  if (!layer || !layer->versions.contains(key)) co_return json::object();
  co_return co_await ChangeLayer(name, [key](LayerRecord& changed) -> Result<json::object> {
    changed.versions.erase(key);
    return json::object();
  });
}

}  // namespace samovar
