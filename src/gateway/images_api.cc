#include "gateway/images_api.h"

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>

#include "gateway/receive_upload.h"
#include "gateway/reply.h"
#include "images/image_store.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kImages = "images";
constexpr std::string_view kLayers = "image-layers/";
constexpr Bytes kMaxDocuments = Bytes::MiB(8);

json::array Texts(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

json::object ImageRow(const StoredImage& stored) {
  const Image& image = *stored.image;
  json::array layers;
  for (const auto& layer : image.layers) layers.emplace_back("sha256:" + layer);
  return {{"digest", "sha256:" + image.digest},
          {"names", Texts(stored.names)},
          {"size", stored.size.count},
          {"created", image.created},
          {"layers", std::move(layers)},
          {"entrypoint", Texts(image.entrypoint)},
          {"command", Texts(image.command)},
          {"working_folder", image.working_folder},
          {"environment", Texts(image.environment)},
          {"ports", json::array(image.ports.begin(), image.ports.end())}};
}

struct Documents {
  std::string name, manifest, configuration;
};

Result<Documents> ReadDocuments(std::string_view body) {
  boost::system::error_code failed;
  const auto asked = json::parse(body, failed);
  if (failed || !asked.is_object()) return Fail(Code::kInvalid, "the body is not a JSON object");
  Documents documents;
  for (auto [member, to] :
       {std::pair{"name", &documents.name}, std::pair{"manifest", &documents.manifest},
        std::pair{"configuration", &documents.configuration}}) {
    const auto* text = asked.get_object().if_contains(member);
    if (!text || !text->is_string()) {
      return Fail(Code::kInvalid, std::string(member) + ": expected a string");
    }
    *to = text->get_string();
  }
  return documents;
}

HttpResponse Empty(const std::string& id) {
  HttpResponse response;
  response.status = 204;
  response.headers.Add(kRequestIdField, id);
  return response;
}

}  // namespace

bool ImagesApi::Handles(std::string_view path) {
  return path == kImages || path.starts_with(kLayers);
}

Task<ImagesApi::Answer> ImagesApi::Handle(HttpRequest& request, std::string_view path,
                                          PendingSignature signature, const std::string& id) {
  if (!core_.parts.images) co_return Fail(Code::kUnsupported, "this server keeps no images");
  if (path.starts_with(kLayers)) {
    CO_TRY(auto digest, ReadDigest(path.substr(kLayers.size()), "the layer in the path"));
    if (request.method == "PUT") {
      co_return co_await TakeLayer(request, std::move(digest), std::move(signature), id);
    }
  }
  CO_TRY(auto body, co_await request.body->ReadAll(kMaxDocuments));
  CO_TRY(FinishWithBody(signature, body));
  const std::string name(request.Query("name").value_or(""));
  if (path == kImages && request.method == "POST") co_return co_await Name(std::move(body), id);
  if (path == kImages && request.method == "GET" && name.empty()) co_return List(id);
  if (path == kImages && request.method == "GET") {
    CO_TRY(const auto stored, core_.parts.images->Show(name));
    co_return JsonReply(200, ImageRow(stored), id);
  }
  if (path == kImages && request.method == "DELETE") co_return co_await Forget(name, id);
  co_return Fail(Code::kNotFound,
                 "there is no " + request.method + " " + std::string(request.Path()) +
                     " (docs/http-api.md lists the paths)",
                 "NoSuchPath");
}

Task<ImagesApi::Answer> ImagesApi::TakeLayer(HttpRequest& request, std::string digest,
                                             PendingSignature signature, const std::string& id) {
  auto& parts = core_.parts;
  const Bytes bound = parts.options.max_package;
  if (request.body->Announced().value_or(0) > bound.count) {
    co_return Fail(Code::kTooLarge, "the layer is larger than the " + std::to_string(bound.count) +
                                        " bytes that are allowed");
  }
  CO_TRY(auto writer, co_await ReceiveUpload(parts, request, std::move(signature), bound));
  auto take = [writer, digest, &images = *parts.images]() -> Result<void> {
    TRY(const auto path, writer->Close());
    return images.TakeLayer(digest, path);
  };
  if (waiting_ >= kWaiting) {
    co_return Fail(Code::kOverloaded, "too many layers wait to be unpacked; try again later");
  }
  struct Count {
    int& count;
    explicit Count(int& to) : count(to) { ++count; }
    ~Count() { --count; }
  };
  {
    const Count waits(waiting_);
    while (unpacking_ >= kUnpackAtATime) co_await unpacked_.Wait();
  }
  struct Turn {
    Count one;
    Signal& ended;
    ~Turn() { ended.Notify(); }
  };
  const Turn turn{Count(unpacking_), unpacked_};
  CO_TRY(co_await RunBlocking(parts.pool, std::move(take)));
  co_return Empty(id);
}

Task<ImagesApi::Answer> ImagesApi::Name(std::string body, const std::string& id) {
  CO_TRY(auto documents, ReadDocuments(body));
  auto& images = *core_.parts.images;
  auto name = [documents = std::move(documents), &images] {
    return images.Name(documents.name, documents.manifest, documents.configuration);
  };
  CO_TRY(const auto named, co_await RunBlocking(core_.parts.pool, std::move(name)));
  json::array missing;
  for (const auto& layer : named.missing) missing.emplace_back("sha256:" + layer);
  co_return JsonReply(
      200, {{"digest", "sha256:" + named.image->digest}, {"missing", std::move(missing)}}, id);
}

Task<ImagesApi::Answer> ImagesApi::Forget(std::string name, const std::string& id) {
  if (name.empty()) co_return Fail(Code::kInvalid, "name: which image to delete");
  auto& images = *core_.parts.images;
  auto forget = [name, &images] { return images.Forget(name); };
  CO_TRY(co_await RunBlocking(core_.parts.pool, std::move(forget)));
  core_.parts.registry.CollectSoon();
  co_return Empty(id);
}

HttpResponse ImagesApi::List(const std::string& id) const {
  json::array rows;
  for (const auto& stored : core_.parts.images->List()) rows.push_back(ImageRow(stored));
  return JsonReply(200, {{"images", std::move(rows)}}, id);
}

}  // namespace samovar
