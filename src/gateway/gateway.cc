#include "gateway/gateway.h"

#include "base/ids.h"
#include "base/log.h"
#include "gateway/collections_api.h"
#include "gateway/control_api.h"
#include "gateway/elasticsearch_api.h"
#include "gateway/function_url_api.h"
#include "gateway/gateway_core.h"
#include "gateway/inference_api.h"
#include "gateway/invoke_api.h"
#include "gateway/own_api.h"
#include "gateway/reply.h"
#include "gateway/sagemaker_api.h"

namespace samovar {
namespace {

// The AWS service that the request is for, where that is another than Lambda.
std::optional<std::string> ForeignService(const HttpRequest& request) {
  auto authorization = request.headers.Get("Authorization");
  if (authorization.find("/lambda/aws4_request") != authorization.npos) return std::nullopt;
  auto scope = ReadCredentialScope(request.headers.All(), request.RawQuery());
  if (scope && scope->service == "lambda") return std::nullopt;
  if (scope) return scope->service;
  // "DynamoDB_20120810.ListTables"
  auto target = request.headers.Get("X-Amz-Target");
  if (target.empty()) return std::nullopt;
  return std::string(target.substr(0, target.find_first_of("_.")));
}

Task<HttpResponse> NoRoute(HttpRequest request, RouteMiss miss, std::string id) {
  co_return LambdaError(RouteMissError(miss, request.method, request.Path()), id);
}

}  // namespace

struct Gateway::State {
  explicit State(GatewayParts parts) : core(std::move(parts)) {
    if (auto* endpoints = core.parts.endpoints) sagemaker.emplace(core, *endpoints);
    if (auto* all = core.parts.collections) {
      collections.emplace(core, *all);
      elasticsearch.emplace(core, *all);
    }
  }

  GatewayCore core;
  InvokeApi invoke{core};
  ControlApi control{core};
  FunctionUrlApi urls{core};
  OwnApi own{core};
  InferenceApi inference{core};
  ModelDoor models{core};
  std::optional<SageMakerApi> sagemaker;
  std::optional<CollectionsApi> collections;
  std::optional<ElasticsearchApi> elasticsearch;

  Task<HttpResponse> Route(HttpRequest request, std::string id);
};

Task<HttpResponse> Gateway::State::Route(HttpRequest request, std::string id) {
  if (auto target = FunctionUrlApi::Match(request)) {
    return urls.Handle(std::move(request), std::move(*target), std::move(id));
  }
  if (collections && CollectionsApi::Handles(request.Path())) {
    return collections->Handle(std::move(request), std::move(id));
  }
  if (elasticsearch && ElasticsearchApi::Handles(request.Path())) {
    return elasticsearch->Handle(std::move(request), std::move(id));
  }
  if (OwnApi::Handles(request.Path())) return own.Handle(std::move(request), std::move(id));
  auto service = ForeignService(request);
  bool for_sagemaker = !service || *service == "sagemaker" || *service == "SageMaker";
  if (sagemaker && for_sagemaker && SageMakerApi::Handles(request)) {
    return sagemaker->Handle(std::move(request), std::move(id));
  }
  if (!service || *service == "sagemaker") {
    if (auto route = MatchInferenceRoute(request.method, request.Path())) {
      return inference.Handle(std::move(request), std::move(*route), std::move(id));
    }
  }
  if (service) {
    auto refuse = [](HttpRequest asked, std::string name, std::string its) -> Task<HttpResponse> {
      co_return ForeignServiceError(asked, name, its);
    };
    return refuse(std::move(request), std::move(*service), std::move(id));
  }
  auto route = core.model.MatchRoute(request.method, request.Path(), request.RawQuery());
  if (!route) return NoRoute(std::move(request), route.error(), std::move(id));
  if (InvokeApi::Handles(*route->operation)) {
    return invoke.Handle(std::move(request), std::move(*route), std::move(id));
  }
  return control.Handle(std::move(request), std::move(*route), std::move(id));
}

Gateway::Gateway(GatewayParts parts) : state_(std::make_unique<State>(std::move(parts))) {}
Gateway::~Gateway() = default;

ModelDoor& Gateway::Models() { return state_->models; }

std::uint64_t Gateway::SearchSigns() const { return state_->core.searches; }

HttpHandler Gateway::Handler() {
  return [this](HttpRequest request) { return Handle(std::move(request)); };
}

Task<HttpResponse> Gateway::Handle(HttpRequest request) {
  std::string id = NewUuid();
  if (!LogEnabled(LogLevel::kDebug)) {
    co_return co_await state_->Route(std::move(request), std::move(id));
  }
  auto& clock = state_->core.parts.clock;
  auto begin = clock.Now();
  std::string what = request.peer + " " + request.method + " " + request.target;
  auto response = co_await state_->Route(std::move(request), id);
  auto took = std::chrono::duration<double, std::milli>(clock.Now() - begin).count();
  LogDebug("{} -> {} in {:.2f} ms, request {}", what, response.status, took, id);
  co_return response;
}

Task<HttpResponse> Gateway::HandleInside(HttpRequest request, const CollectionRights& rights) {
  std::string id = NewUuid();
  auto& collections = state_->collections;
  if (!collections || !CollectionsApi::Handles(request.Path())) {
    co_return OwnError({Code::kNotFound, "only collections are served here"}, id);
  }
  co_return co_await collections->Handle(std::move(request), std::move(id), &rights);
}

Task<void> Gateway::Stop() { co_await state_->core.streams.Stop(); }

}  // namespace samovar
