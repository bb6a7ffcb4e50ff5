// The part of OwnApi that moves packages: in by zip or by manifest, out as a zip; what is kept.

#include <algorithm>
#include <boost/json/array.hpp>
#include <map>
#include <set>
#include <tuple>

#include "gateway/own_api.h"
#include "gateway/receive_upload.h"
#include "gateway/reply.h"
#include "store/content_hash.h"

namespace samovar {
namespace {

namespace json = boost::json;

json::array Names(std::vector<std::string> names) {
  std::ranges::sort(names);
  return json::array(names.begin(), names.end());
}

json::object PackageRow(const KeptPackage& package, const std::vector<std::string>& users) {
  return {{"sha256", package.hash},       {"came_as", package.manifest ? "files" : "zip"},
          {"unpacked", package.unpacked}, {"files", package.files},
          {"bytes", package.size.count},  {"own_bytes", package.own.count},
          {"used_by", Names(users)}};
}

// Wheels, each once, with everybody whose package has it.
class Libraries {
 public:
  void Add(const KeptPackage& package, const std::vector<std::string>& users) {
    for (const auto& library : package.libraries) {
      auto& seen = by_record_[{library.name, library.version, library.inode}];
      seen.size = library.size;
      for (const auto& user : users) {
        if (std::ranges::find(seen.users, user) == seen.users.end()) seen.users.push_back(user);
      }
    }
  }
  json::array Rows() const {
    json::array rows;
    for (const auto& [key, seen] : by_record_) {
      rows.push_back(json::object{{"name", std::get<0>(key)},
                                  {"version", std::get<1>(key)},
                                  {"bytes", seen.size.count},
                                  {"used_by", Names(seen.users)}});
    }
    return rows;
  }

 private:
  struct Seen {
    Bytes size;
    std::vector<std::string> users;
  };
  std::map<std::tuple<std::string, std::string, std::uint64_t>, Seen> by_record_;
};

Task<Result<std::optional<std::string>>> NextPiece(PackagePieces pieces, BlockingPool& pool) {
  co_return co_await RunBlocking(pool, [pieces]() -> Result<std::optional<std::string>> {
    TRY(auto piece, pieces());
    if (piece.empty()) return std::optional<std::string>();
    return piece;
  });
}

}  // namespace

std::optional<OwnApi::Take> OwnApi::TakerOf(std::string_view path) const {
  auto& packages = core_.parts.packages;
  if (path == "/samovar/v1/uploads") {
    return [&packages](const std::string& staged) -> Result<json::object> {
      TRY(const auto package, packages.Import(staged));
      return json::object{{"sha256", package.hash}, {"size", package.size.count}};
    };
  }
  if (path == "/samovar/v1/files") {
    return [&packages](const std::string& staged) -> Result<json::object> {
      TRY(packages.KeepFiles(staged));
      return json::object();
    };
  }
  if (path == "/samovar/v1/manifests") {
    return [&packages](const std::string& staged) -> Result<json::object> {
      TRY(const auto taken, packages.ImportManifest(staged));
      if (!taken.missing.empty()) return json::object{{"missing", Names(taken.missing)}};
      return json::object{{"sha256", taken.package.hash}, {"size", taken.package.size.count}};
    };
  }
  return std::nullopt;
}

Task<OwnApi::Answer> OwnApi::Receive(HttpRequest& request, PendingSignature signature, Bytes bound,
                                     Take take, const std::string& id) {
  auto& parts = core_.parts;
  if (request.body->Announced().value_or(0) > bound.count) {
    co_return Fail(Code::kTooLarge, "the package is larger than the " +
                                        std::to_string(bound.count) + " bytes that are allowed");
  }
  CO_TRY(auto writer, co_await ReceiveUpload(parts, request, std::move(signature), bound));
  auto finish = [writer, take = std::move(take)]() -> Result<json::object> {
    TRY(auto path, writer->Close());
    return take(path);
  };
  CO_TRY(auto made, co_await RunBlocking(parts.pool, std::move(finish)));
  co_return JsonReply(200, made, id);
}

Task<OwnApi::Answer> OwnApi::FindUpload(std::string hash, const std::string& id) {
  if (!IsContentHash(hash)) co_return Fail(Code::kNotFound, "there is no such package");
  auto find = [hash, &packages = core_.parts.packages] { return packages.Find(hash); };
  CO_TRY(auto package, co_await RunBlocking(core_.parts.pool, std::move(find)));
  HttpResponse response;
  response.headers.Add(kRequestIdField, id);
  response.headers.Add("X-Samovar-Package-Size", std::to_string(package.size.count));
  co_return response;
}

Task<OwnApi::Answer> OwnApi::Package(std::string hash, const std::string& id) {
  auto& parts = core_.parts;
  if (!IsContentHash(hash)) co_return Fail(Code::kNotFound, "there is no such package");
  auto open = [hash, &packages = parts.packages] { return packages.Read(hash); };
  CO_TRY(auto pieces, co_await RunBlocking(parts.pool, std::move(open)));
  HttpResponse response;
  response.headers.Add("Content-Type", "application/zip");
  response.headers.Add(kRequestIdField, id);
  response.stream = [pieces, &pool = parts.pool] { return NextPiece(pieces, pool); };
  co_return response;
}

Task<OwnApi::Answer> OwnApi::ListPackages(const std::string& id) {
  auto& parts = core_.parts;
  CO_TRY(const auto listing, co_await RunBlocking(parts.pool, [&packages = parts.packages] {
           return packages.List();
         }));
  const auto users = parts.registry.PackageUsers();
  json::array rows;
  Libraries libraries;
  for (const auto& package : listing.packages) {
    const auto found = users.find(package.hash);
    const auto names = found == users.end() ? std::vector<std::string>() : found->second;
    rows.push_back(PackageRow(package, names));
    libraries.Add(package, names);
  }
  const json::object kept{{"files", listing.files.files},
                          {"bytes", listing.files.size.count},
                          {"unused_bytes", listing.files.unused.count},
                          {"bytes_if_not_shared", listing.files.without_store.count}};
  co_return JsonReply(
      200, {{"packages", std::move(rows)}, {"libraries", libraries.Rows()}, {"kept", kept}}, id);
}

Task<OwnApi::Answer> OwnApi::PrunePackages(const std::string& id) {
  auto& parts = core_.parts;
  std::set<std::string> used;
  for (const auto& [hash, names] : parts.registry.PackageUsers()) used.insert(hash);
  CO_TRY(const auto freed, co_await RunBlocking(parts.pool, [used, &packages = parts.packages] {
           return packages.Prune(used);
         }));
  co_return JsonReply(200, {{"freed_bytes", freed.count}}, id);
}

}  // namespace samovar
