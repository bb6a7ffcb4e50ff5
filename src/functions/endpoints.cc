// SageMaker's objects: loading, the table of operations, how they are stored, tags.

#include "functions/endpoints.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "functions/input.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxTags = 50;

std::string Lower(std::string_view text) {
  std::string lower(text);
  std::ranges::transform(lower, lower.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return lower;
}

template <class T, class Map>
Result<void> LoadAll(KvStore& kv, EndpointKind kind, Result<T> (*read)(std::string_view),
                     Map& into) {
  Result<void> failed;
  TRY(kv.Scan(EndpointRecordKey(kind, ""), [&](std::string_view, std::string_view document) {
    auto record = read(document);
    if (!record) {
      failed = std::unexpected(std::move(record).error());
      return false;
    }
    auto name = record->name;
    into[name] = std::make_shared<const T>(std::move(*record));
    return true;
  }));
  return failed;
}

json::array DescribeTags(const Tags& tags) {
  json::array list;
  for (const auto& [key, value] : tags) list.push_back({{"Key", key}, {"Value", value}});
  return list;
}

}  // namespace

Endpoints::Endpoints(EndpointOptions options, Registry& registry, KvStore& kv, BlockingPool& pool,
                     Executor loop, const Clock& clock)
    : options_(std::move(options)),
      registry_(registry),
      kv_(kv),
      pool_(pool),
      loop_(std::move(loop)),
      clock_(clock),
      generator_(std::random_device()()),
      alive_(std::make_shared<Endpoints*>(this)) {}

Result<void> Endpoints::Load() {
  TRY(LoadAll(kv_, EndpointKind::kModel, ReadModelRecord, models_));
  TRY(LoadAll(kv_, EndpointKind::kConfig, ReadConfigRecord, configs_));
  TRY(LoadAll(kv_, EndpointKind::kEndpoint, ReadEndpointRecord, endpoints_));
  for (const auto& [name, endpoint] : endpoints_) {
    if (!endpoint->next_config.empty()) StartTurn(name);
  }
  return {};
}

const std::map<std::string_view, Endpoints::Operation>& Endpoints::Operations() {
#define SAMOVAR_OPERATION(name) {#name, &Endpoints::name}
  static const std::map<std::string_view, Operation> kTable = {
      SAMOVAR_OPERATION(CreateModel),
      SAMOVAR_OPERATION(DescribeModel),
      SAMOVAR_OPERATION(ListModels),
      SAMOVAR_OPERATION(DeleteModel),
      SAMOVAR_OPERATION(CreateEndpointConfig),
      SAMOVAR_OPERATION(DescribeEndpointConfig),
      SAMOVAR_OPERATION(ListEndpointConfigs),
      SAMOVAR_OPERATION(DeleteEndpointConfig),
      SAMOVAR_OPERATION(CreateEndpoint),
      SAMOVAR_OPERATION(UpdateEndpoint),
      SAMOVAR_OPERATION(UpdateEndpointWeightsAndCapacities),
      SAMOVAR_OPERATION(DescribeEndpoint),
      SAMOVAR_OPERATION(ListEndpoints),
      SAMOVAR_OPERATION(DeleteEndpoint),
      SAMOVAR_OPERATION(AddTags),
      SAMOVAR_OPERATION(ListTags),
      SAMOVAR_OPERATION(DeleteTags),
  };
#undef SAMOVAR_OPERATION
  return kTable;
}

Task<Result<json::object>> Endpoints::Execute(std::string operation, json::object input) {
  const auto found = Operations().find(operation);
  if (found == Operations().end()) {
    co_return Fail(Code::kUnsupported, operation + " is not served here",
                   "UnknownOperationException");
  }
  co_return co_await (this->*found->second)(std::move(input));
}

std::string Endpoints::Arn(EndpointKind kind, std::string_view name) const {
  return fmt::format("arn:aws:sagemaker:{}:{}:{}/{}", options_.region, options_.account_id,
                     KindName(kind), Lower(name));
}

Error Endpoints::Missing(EndpointKind kind, std::string_view name) const {
  return {Code::kNotFound,
          fmt::format("Could not find {} \"{}\".", KindWords(kind), Arn(kind, name)),
          "ValidationException"};
}

Error Endpoints::Existing(EndpointKind kind, std::string_view name) const {
  return {
      Code::kInvalid,
      fmt::format("Cannot create already existing {} \"{}\".", KindWords(kind), Arn(kind, name)),
      "ValidationException"};
}

Error Endpoints::MissingEndpoint(std::string_view endpoint) const {
  return {Code::kNotFound,
          fmt::format("Endpoint {} of account {} not found.", endpoint, options_.account_id),
          "ValidationError"};
}

Task<Result<void>> Endpoints::Write(std::string key, std::optional<std::string> document) {
  auto batch = std::make_shared<WriteBatch>();
  if (document) {
    batch->Put(std::move(key), std::move(*document));
  } else {
    batch->Delete(std::move(key));
  }
  auto& kv = kv_;
  co_return co_await RunBlocking(pool_, [&kv, batch] { return kv.Write(std::move(*batch)); });
}

// REQUIRES: the name's lock is held.
template <class T>
Task<Result<void>> Endpoints::Store(EndpointKind kind, ByName<T>& map,
                                    std::shared_ptr<const T> record) {
  CO_TRY(co_await Write(EndpointRecordKey(kind, record->name), WriteRecord(*record)));
  map[record->name] = record;
  co_return Result<void>();
}
template Task<Result<void>> Endpoints::Store(EndpointKind, ByName<ModelRecord>&,
                                             std::shared_ptr<const ModelRecord>);
template Task<Result<void>> Endpoints::Store(EndpointKind, ByName<ConfigRecord>&,
                                             std::shared_ptr<const ConfigRecord>);
template Task<Result<void>> Endpoints::Store(EndpointKind, ByName<EndpointRecord>&,
                                             std::shared_ptr<const EndpointRecord>);

template <class T>
Endpoints::Answer Endpoints::Delete(EndpointKind kind, ByName<T>& map, std::string name) {
  const auto key = EndpointRecordKey(kind, name);
  const auto guard = co_await changing_.Lock(key);
  if (!map.contains(name)) co_return std::unexpected(Missing(kind, name));
  CO_TRY(co_await Write(key, std::nullopt));
  map.erase(name);
  co_return json::object();
}
template Endpoints::Answer Endpoints::Delete(EndpointKind, ByName<ModelRecord>&, std::string);
template Endpoints::Answer Endpoints::Delete(EndpointKind, ByName<ConfigRecord>&, std::string);
template Endpoints::Answer Endpoints::Delete(EndpointKind, ByName<EndpointRecord>&, std::string);

template <class T>
Task<Result<Tags>> Endpoints::ChangeTags(EndpointKind kind, ByName<T>& map, std::string name,
                                         std::function<Result<void>(Tags&)> edit) {
  const auto guard = co_await changing_.Lock(EndpointRecordKey(kind, name));
  // An ARN has its name in lower case.
  const auto found = std::ranges::find_if(
      map, [&](const auto& entry) { return Lower(entry.first) == Lower(name); });
  if (found == map.end()) {
    co_return Fail(Code::kNotFound, Missing(kind, name).message, "ResourceNotFound");
  }
  auto record = std::make_shared<T>(*found->second);
  CO_TRY(edit(record->tags));
  if (record->tags != found->second->tags) {
    CO_TRY(co_await Store<T>(kind, map, record));
  }
  co_return record->tags;
}

Task<Result<Tags>> Endpoints::EditTags(Object input, std::function<Result<void>(Tags&)> edit) {
  const std::string arn(TextOf(input, "ResourceArn"));
  const auto slash = arn.rfind('/');
  const auto name = slash == arn.npos ? std::string() : arn.substr(slash + 1);
  if (arn == Arn(EndpointKind::kModel, name)) {
    co_return co_await ChangeTags(EndpointKind::kModel, models_, name, edit);
  }
  if (arn == Arn(EndpointKind::kConfig, name)) {
    co_return co_await ChangeTags(EndpointKind::kConfig, configs_, name, edit);
  }
  if (arn == Arn(EndpointKind::kEndpoint, name)) {
    co_return co_await ChangeTags(EndpointKind::kEndpoint, endpoints_, name, edit);
  }
  co_return Fail(Code::kNotFound, fmt::format("Could not find resource \"{}\".", arn),
                 "ResourceNotFound");
}

Endpoints::Answer Endpoints::AddTags(Object input) {
  const auto* added = ArrayOf(input, "Tags");
  const json::array tags = added ? *added : json::array();
  CO_TRY(const auto now, co_await EditTags(input, [tags](Tags& all) -> Result<void> {
           for (const auto& tag : tags) {
             all[std::string(TextOf(tag.as_object(), "Key"))] = TextOf(tag.as_object(), "Value");
           }
           if (all.size() <= kMaxTags) return {};
           return Fail(Code::kInvalid, "A resource may have 50 tags.", "ResourceLimitExceeded");
         }));
  co_return json::object{{"Tags", DescribeTags(now)}};
}

Endpoints::Answer Endpoints::ListTags(Object input) {
  CO_TRY(const auto now, co_await EditTags(input, [](Tags&) { return Result<void>(); }));
  co_return json::object{{"Tags", DescribeTags(now)}};
}

Endpoints::Answer Endpoints::DeleteTags(Object input) {
  const auto* list = ArrayOf(input, "TagKeys");
  const json::array keys = list ? *list : json::array();
  CO_TRY(co_await EditTags(input, [keys](Tags& all) -> Result<void> {
    for (const auto& key : keys) all.erase(std::string(key.as_string()));
    return {};
  }));
  co_return json::object();
}

}  // namespace samovar
