// Where code comes from: a staged upload, an earlier upload by its hash, or layers.

#include <fmt/format.h>

#include "functions/configuration.h"
#include "functions/function_ref.h"
#include "functions/input.h"
#include "functions/lambda_registry.h"

namespace samovar {

namespace json = boost::json;

Task<Result<PackageInfo>> LambdaRegistry::TakeCode(json::object code) {
  auto& packages = packages_;
  if (Has(code, "ImageUri")) {
    co_return InvalidParameter(
        "Please don't provide ImageUri for the code of a layer or of a function with packageType "
        "Zip.");
  }
  if (const std::string staged(TextOf(code, "StagedPath")); !staged.empty()) {
    co_return co_await RunBlocking(pool_, [&packages, staged] { return packages.Import(staged); });
  }
  const auto bucket = TextOf(code, "S3Bucket");
  if (bucket.empty()) co_return InvalidParameter("Please provide a source for function code.");
  if (bucket != "samovar-uploads") {
    co_return InvalidParameter(fmt::format(
        "S3Bucket {} is not reachable from this server. Send the code as ZipFile, or upload it to "
        "/samovar/v1/uploads and name it by S3Bucket samovar-uploads and S3Key its SHA-256.",
        bucket));
  }
  const std::string hash(TextOf(code, "S3Key"));
  auto found = co_await RunBlocking(pool_, [&packages, hash] { return packages.Find(hash); });
  if (!found && found.error().code == Code::kNotFound) {
    co_return InvalidParameter(
        "Error occurred while GetObject. S3 Error Code: NoSuchKey. S3 Error Message: The specified "
        "key does not exist.");
  }
  co_return found;
}

Task<Result<void>> LambdaRegistry::CheckModelCode(json::object config, std::string hash) {
  const std::string file(ModelFileOf(config));
  if (file.empty()) co_return Result<void>();
  auto& packages = packages_;
  CO_TRY(const bool holds, co_await RunBlocking(pool_, [&packages, hash, file] {
           return packages.Holds(hash, file);
         }));
  if (holds) co_return Result<void>();
  co_return InvalidParameter(
      fmt::format("The package of a function of runtime onnx must hold the model as {}.", file));
}

Result<std::vector<LayerUse>> LambdaRegistry::TakeLayers(const json::object& input) const {
  std::vector<LayerUse> uses;
  const auto* list = ArrayOf(input, "Layers");
  if (!list) return uses;
  std::map<std::string, std::string, std::less<>> seen;  // layer -> the ARN that named it
  for (const auto& item : *list) {
    const std::string arn(item.is_string() ? std::string_view(item.get_string()) : "");
    const auto ref = ParseLayerArn(arn);
    if (!ref || !ref->version) {
      return Validation(
          fmt::format("Value '[{}]' at 'layers' failed to satisfy constraint: Member "
                      "must be the ARN of a layer version",
                      arn));
    }
    if (ref->region != options_.region) {
      return InvalidParameter(
          fmt::format("Layers are not in the same region as the function. "
                      "Layers are expected to be in region {}.",
                      options_.region));
    }
    const auto layer = FindLayer(ref->name);
    if (!layer || !layer->versions.contains(*ref->version)) {
      return InvalidParameter(fmt::format("Layer version {} does not exist.", arn));
    }
    const auto [other, first] = seen.emplace(ref->name, arn);
    if (!first) {
      return InvalidParameter(fmt::format(
          "Two different versions of the same layer are not allowed to be referenced in the same "
          "function. {} and {} are versions of the same layer.",
          other->second, arn));
    }
    const auto& version = layer->versions.at(*ref->version);
    uses.push_back({fmt::format("{}:{}", LayerArn(options_, layer->name), version.version),
                    version.size, version.package});
  }
  return uses;
}

}  // namespace samovar
