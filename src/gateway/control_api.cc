#include "gateway/control_api.h"

#include <fmt/format.h>

#include "gateway/reply.h"
#include "wire/zip_field_extractor.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kPackages = "/samovar/v1/packages/";
constexpr std::chrono::minutes kLocationLife{10};  // as AWS's

// What takes a request with a package apart; used on the pool, one piece at a time.
struct PackageReceiver {
  PackageReceiver(PackageStore& packages, const GatewayOptions& options, std::string_view path)
      : writer(std::make_unique<StagingWriter>(packages, options.max_package)),
        extractor(path, options.max_control_body,
                  [this](std::string_view bytes) { return writer->Append(bytes); }) {}

  Result<void> Feed(std::string_view piece) {
    hash.Update(piece);
    return extractor.Feed(piece);
  }

  std::unique_ptr<StagingWriter> writer;
  ZipFieldExtractor extractor;
  Sha256 hash;
};

Error TooLarge(std::string_view operation, Bytes bound) {
  return {Code::kTooLarge,
          fmt::format("Request must be smaller than {} bytes for the {} operation", bound.count,
                      operation),
          "RequestEntityTooLargeException"};
}

}  // namespace

Task<HttpResponse> ControlApi::Handle(HttpRequest request, RouteMatch route, std::string id) {
  auto answer = co_await Answer(request, route, id);
  if (answer) co_return std::move(*answer);
  co_return LambdaError(answer.error(), id);
}

Task<Result<HttpResponse>> ControlApi::Answer(HttpRequest& request, const RouteMatch& route,
                                              const std::string& id) {
  const LambdaOperation& operation = *route.operation;
  CO_TRY(auto signature, core_.access.Check(request));
  CO_TRY(auto received, co_await Receive(request, operation, signature));
  CO_TRY(auto input,
         core_.model.DecodeInput(route, request.RawQuery(), request.headers.All(), received.json));
  if (received.package) {
    auto* writer = received.package.get();
    CO_TRY(auto path, co_await RunBlocking(core_.parts.pool, [writer] { return writer->Close(); }));
    PutStagedPath(operation.name, std::move(path), input);
  }
  CO_TRY(auto output,
         co_await core_.parts.registry.Execute(std::string(operation.name), std::move(input)));
  CompleteLocation(output, request, signature);
  auto response = JsonReply(operation.success_status, output, id);
  if (operation.success_status == 204) response.body.clear();
  co_return response;
}

Task<Result<ControlApi::Received>> ControlApi::Receive(HttpRequest& request,
                                                       const LambdaOperation& operation,
                                                       PendingSignature signature) {
  if (!ZipPathOf(operation.name).empty()) {
    co_return co_await ReceivePackage(request, operation, std::move(signature));
  }
  Bytes bound = core_.parts.options.max_control_body;
  auto body = co_await request.body->ReadAll(bound);
  if (!body && body.error().code == Code::kTooLarge) {
    co_return std::unexpected(TooLarge(operation.name, bound));
  }
  if (!body) co_return std::unexpected(body.error());
  CO_TRY(FinishWithBody(signature, *body));
  co_return Received{std::move(*body), nullptr};
}

Task<Result<ControlApi::Received>> ControlApi::ReceivePackage(HttpRequest& request,
                                                              const LambdaOperation& operation,
                                                              PendingSignature signature) {
  auto& parts = core_.parts;
  auto receiver =
      std::make_shared<PackageReceiver>(parts.packages, parts.options, ZipPathOf(operation.name));
  while (true) {
    CO_TRY(auto piece, co_await request.body->ReadSome());
    if (!piece) break;
    auto feed = [receiver, bytes = std::move(*piece)] { return receiver->Feed(bytes); };
    auto fed = co_await RunBlocking(parts.pool, std::move(feed));
    if (!fed && fed.error().code == Code::kTooLarge && fed.error().name.empty()) {
      co_return std::unexpected(TooLarge(operation.name, parts.options.max_control_body));
    }
    if (!fed) co_return std::unexpected(fed.error());
  }
  if (signature) {
    CO_TRY(signature->Finish(signature->NeedsBodyHash() ? receiver->hash.HexDigest() : ""));
  }
  Received received;
  CO_TRY(received.json, receiver->extractor.Finish());
  if (receiver->extractor.FoundZip()) received.package = std::move(receiver->writer);
  co_return received;
}

void ControlApi::CompleteLocation(json::object& output, const HttpRequest& request,
                                  const PendingSignature& signature) const {
  for (std::string_view member : {"Code", "Content"}) {
    auto* holder = output.if_contains(member);
    if (!holder || !holder->is_object()) continue;
    auto* location = holder->get_object().if_contains("Location");
    if (!location || !location->is_string()) continue;
    std::string_view url = location->get_string();
    auto at = url.find(kPackages);
    if (at == url.npos) continue;
    std::string path(url.substr(at));
    std::string host(request.headers.Get("Host"));
    std::string complete = "http://" + host + path;
    if (signature) {
      auto& id = signature->Scope().access_key_id;
      SigningCredentials credentials{id, core_.parts.keys.SecretOf(id).value_or(""), ""};
      Fields fields{{"host", host}};
      complete +=
          "?" + PresignQuery({"GET", path, "", fields}, credentials, core_.parts.options.region,
                             "lambda", core_.parts.clock.Wall(), kLocationLife);
    }
    *location = complete;
  }
}

}  // namespace samovar
