#include "main/deploy.h"

#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <filesystem>
#include <set>

#include "base/encoding.h"
#include "main/progress.h"

namespace samovar {

namespace {

constexpr int kManifestTurns = 4;  // what was there may be gone when the list comes again

std::vector<std::string> TextsOf(const boost::json::value& array) {
  std::vector<std::string> out;
  if (!array.is_array()) return out;
  for (const auto& item : array.as_array()) {
    if (item.is_string()) out.emplace_back(item.as_string());
  }
  return out;
}

std::string LayerPath(const std::string& name, const std::string& rest = {}) {
  return fmt::format("/2018-10-31/layers/{}/versions{}", PercentEncode(name), rest);
}

boost::json::object LayerRequest(const LayerPlan& layer, const std::string& sha256) {
  boost::json::object request;
  request["Content"] = boost::json::object{{"S3Bucket", "samovar-uploads"}, {"S3Key", sha256}};
  if (!layer.description.empty()) request["Description"] = layer.description;
  if (!layer.license.empty()) request["LicenseInfo"] = layer.license;
  if (!layer.runtimes.empty()) {
    request["CompatibleRuntimes"] =
        boost::json::array(layer.runtimes.begin(), layer.runtimes.end());
  }
  if (!layer.architectures.empty()) {
    request["CompatibleArchitectures"] =
        boost::json::array(layer.architectures.begin(), layer.architectures.end());
  }
  return request;
}

}  // namespace

void Deployer::Note(std::string kind, std::string name, std::string what, std::string detail) {
  changes_.push_back({std::move(kind), std::move(name), std::move(what), std::move(detail)});
}

Result<void> Deployer::Deploy(const Plan& plan) {
  const auto named = [](const std::string& id, Result<void> done) {
    if (!done && !done.error().message.starts_with(id)) {
      done.error().message = id + ": " + done.error().message;
    }
    return done;
  };
  for (const LayerPlan& layer : plan.layers) TRY(named(layer.logical_id, DeployLayer(layer)));
  for (const FunctionPlan& function : plan.functions) {
    TRY(named(function.logical_id, DeployFunction(function)));
  }
  for (const std::string& path : old_layer_versions_) {
    TRY(boost::json::value gone, client_.Json("DELETE", path));
  }
  return {};
}

bool Deployer::ServerHas(const std::string& sha256) const {
  if (sha256.empty()) return false;
  HttpCall call;
  call.method = "HEAD";
  call.target = "/samovar/v1/uploads/" + sha256;
  return client_.Call(std::move(call)).has_value();
}

Result<BuiltPackage> Deployer::Build(const BuildOrder& order) {
  TRY(BuiltPackage package, BuildPackage(context_, order, [this](const std::string& sha256) {
        return ServerHas(sha256);
      }));
  if (!package.file.empty()) TRY(Upload(order.id, package));
  return package;
}

Result<HttpReply> Deployer::Put(Progress* progress, const std::string& path,
                                const std::string& file, const std::string& sha256) {
  HttpCall call;
  call.method = "PUT";
  call.target = path;
  call.headers.Set("Content-Type", "application/octet-stream");
  call.body_file = file;
  if (progress != nullptr) {
    call.on_progress = [=](std::uint64_t sent, std::uint64_t total) {
      progress->Bytes(sent, total);
    };
  }
  return client_.Call(std::move(call), sha256);
}

Result<void> Deployer::Upload(const std::string& id, const BuiltPackage& package) {
  if (ServerHas(package.sha256)) return {};
  Progress progress(context_.terminal, context_.clock, id + ": uploading");
  if (package.manifest) {
    TRY(const std::string sent, UploadByManifest(progress, package));
    progress.Done(fmt::format("{}: uploaded {}", id, sent));
    return {};
  }
  TRY(Put(&progress, "/samovar/v1/uploads", package.file, package.sha256));
  progress.Done(fmt::format("{}: uploaded {}", id, HumanSize(package.size)));
  return {};
}

// The list of the files, then those that the server has not got, then the list again.
Result<std::string> Deployer::UploadByManifest(Progress& progress, const BuiltPackage& package) {
  std::uint64_t sent = 0;
  std::size_t files = 0;
  for (int turn = 0; turn < kManifestTurns; ++turn) {
    TRY(const HttpReply reply, Put(nullptr, "/samovar/v1/manifests", package.file, package.sha256));
    boost::system::error_code bad;
    const auto answer = boost::json::parse(reply.body, bad);
    if (bad) return Fail(Code::kInternal, "the server's answer is no JSON");
    const auto missing = TextsOf(JsonMember(answer, "missing"));
    if (missing.empty()) {
      return fmt::format("{} of {}, {} of {} files", HumanSize(sent), HumanSize(package.size),
                         files, package.manifest->contents.size());
    }
    const FolderListing listing =
        MissingOf(*package.manifest, std::set<std::string>(missing.begin(), missing.end()));
    const std::string zip = package.file + ".zip";
    // To a server on this machine the bytes cost less than packing them.
    const bool near = client_.Address().find("//127.") != std::string::npos ||
                      client_.Address().find("//localhost") != std::string::npos;
    TRY(const ZipResult written, WriteZip(listing, zip, nullptr, near ? 0 : 1));
    const auto put = Put(&progress, "/samovar/v1/files", zip, written.sha256);
    std::error_code ignored;
    std::filesystem::remove(zip, ignored);
    if (!put) return std::unexpected(put.error());
    sent += listing.total;
    files += listing.entries.size();
  }
  return Fail(Code::kInvalid, "files change while they are sent; try again");
}

Result<void> Deployer::DeployLayer(const LayerPlan& layer) {
  BuildOrder order{.id = layer.logical_id,
                   .code = layer.content,
                   .runtime = layer.content.build_method,
                   .handler = {},
                   .layer = true};
  TRY(BuiltPackage package, Build(order));
  const std::string sha256_b64 = Base64Encode(HexDecode(package.sha256).value_or(""));
  TRY(std::optional<boost::json::value> versions, client_.JsonIfThere(LayerPath(layer.name)));
  const boost::json::value& list =
      versions ? JsonMember(*versions, "LayerVersions") : JsonMember(nullptr, "");
  const bool had = list.is_array() && !list.as_array().empty();
  if (had) {
    const boost::json::value& newest = list.as_array().front();
    const std::string number = fmt::format("{:.0f}", JsonNumber(newest, "Version"));
    const std::string path = LayerPath(layer.name, "/" + number);
    TRY(boost::json::value current, client_.Json("GET", path));
    if (JsonText(JsonMember(current, "Content"), "CodeSha256") == sha256_b64 &&
        JsonText(current, "Description") == layer.description &&
        TextsOf(JsonMember(current, "CompatibleRuntimes")) == layer.runtimes) {
      known_[layer.logical_id + ".Arn"] = JsonText(current, "LayerVersionArn");
      Note("layer", layer.name, "unchanged", "version " + number);
      return {};
    }
    if (!layer.keep_old) old_layer_versions_.push_back(path);
  }
  TRY(boost::json::value made,
      client_.Json("POST", LayerPath(layer.name), LayerRequest(layer, package.sha256)));
  known_[layer.logical_id + ".Arn"] = JsonText(made, "LayerVersionArn");
  Note("layer", layer.name, had ? "updated" : "created",
       fmt::format("version {:.0f}{}", JsonNumber(made, "Version"),
                   package.note.empty() ? "" : ", " + package.note));
  return {};
}

}  // namespace samovar
