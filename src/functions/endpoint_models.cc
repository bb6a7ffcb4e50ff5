// Models of SageMaker: which function stands behind one.

#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "functions/endpoint_input.h"
#include "functions/endpoint_lists.h"
#include "functions/endpoints.h"
#include "functions/function_ref.h"
#include "functions/input.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::string_view kUploads = "s3://samovar-uploads/";
constexpr std::string_view kMadeBy = "samovar:sagemaker-model";
constexpr std::string_view kAnyRole = "arn:aws:iam::000000000000:role/samovar";

// The one container of a model.
Result<json::object> ContainerOf(const json::object& input) {
  const auto* primary = ObjectOf(input, "PrimaryContainer");
  const auto* list = ArrayOf(input, "Containers");
  if (primary && list) {
    return SageMakerInvalid("Give either PrimaryContainer or Containers, not both.");
  }
  json::object container;
  if (primary) {
    container = *primary;
  } else if (list && list->size() == 1) {
    container = list->at(0).as_object();
  } else if (list && list->size() > 1) {
    return SageMakerInvalid("Containers: pipelines of several containers are not served here.");
  } else {
    return SageMakerInvalid("PrimaryContainer: a model needs a container.");
  }
  for (const auto* member :
       {"ModelPackageName", "ModelDataSource", "AdditionalModelDataSources", "MultiModelConfig"}) {
    if (container.contains(member)) {
      return SageMakerInvalid(fmt::format("PrimaryContainer.{} is not served here.", member));
    }
  }
  if (TextOf(container, "Mode") == "MultiModel") {
    return SageMakerInvalid("PrimaryContainer.Mode: MultiModel is not served here.");
  }
  if (TextOf(container, "Image").empty()) {
    return SageMakerInvalid(
        "PrimaryContainer.Image: expected the name or ARN of a function, or with ModelDataUrl a "
        "runtime, e.g. onnx.");
  }
  return container;
}

std::unexpected<Error> InContainer(std::string_view member, const Error& error) {
  auto code =
      error.code == Code::kNotFound || error.code == Code::kConflict ? Code::kInvalid : error.code;
  return Fail(code, fmt::format("PrimaryContainer.{}: {}", member, error.message),
              code == Code::kInvalid ? "ValidationException" : std::string_view());
}

}  // namespace

Task<Result<Endpoints::Behind>> Endpoints::FunctionOfImage(std::string image) {
  const auto ref = ParseFunctionRef(image);
  if (!ref) {
    co_return SageMakerInvalid(fmt::format(
        "PrimaryContainer.Image: '{}' names no function. Images of a container registry are not "
        "run here; give a function's name or ARN, with a version or alias, or with ModelDataUrl "
        "a runtime.",
        image));
  }
  Behind behind{std::string(ref->name), std::string(ref->qualifier)};
  json::object asked{{"FunctionName", image}};
  auto known = co_await registry_.Execute("GetFunctionConfiguration", std::move(asked));
  if (!known) co_return InContainer("Image", known.error());
  co_return behind;
}

// A function of the model's own name, with a version published of the package.
Task<Result<Endpoints::Behind>> Endpoints::FunctionOfPackage(std::string name, Object container,
                                                             std::string role) {
  const auto url = TextOf(container, "ModelDataUrl");
  if (!url.starts_with(kUploads)) {
    co_return SageMakerInvalid(fmt::format(
        "PrimaryContainer.ModelDataUrl: '{}' cannot be fetched here; upload the package with PUT "
        "/samovar/v1/uploads and give {}SHA256.",
        url, kUploads));
  }
  json::object code{{"S3Bucket", "samovar-uploads"}, {"S3Key", url.substr(kUploads.size())}};
  json::object environment;
  std::string handler = "model.onnx";
  if (const auto* variables = ObjectOf(container, "Environment")) {
    environment = *variables;
    if (const auto text = TextOf(environment, "SAMOVAR_HANDLER"); !text.empty()) handler = text;
    environment.erase("SAMOVAR_HANDLER");
  }
  json::object input{{"FunctionName", name},
                     {"Runtime", TextOf(container, "Image")},
                     {"Role", role.empty() ? kAnyRole : std::string_view(role)},
                     {"Handler", handler},
                     {"Code", code},
                     {"MemorySize", 1024},
                     {"Timeout", 60},
                     {"Publish", true},
                     {"Environment", {{"Variables", environment}}},
                     {"Tags", {{kMadeBy, name}}}};
  json::object asked{{"FunctionName", name}};
  auto known = co_await registry_.Execute("GetFunction", std::move(asked));
  if (!known) {
    auto made = co_await registry_.Execute("CreateFunction", std::move(input));
    if (!made) co_return InContainer("ModelDataUrl", made.error());
    co_return Behind{name, std::string(TextOf(*made, "Version"))};
  }
  const auto* tags = ObjectOf(*known, "Tags");
  if (!tags || TextOf(*tags, kMadeBy) != name) {
    co_return SageMakerInvalid(
        fmt::format("ModelName: there is a function {} that was not made of a model; name it in "
                    "PrimaryContainer.Image, or take another name.",
                    name));
  }
  code["FunctionName"] = name;
  code["Publish"] = true;
  auto updated = co_await registry_.Execute("UpdateFunctionCode", std::move(code));
  if (!updated) co_return InContainer("ModelDataUrl", updated.error());
  co_return Behind{name, std::string(TextOf(*updated, "Version"))};
}

Endpoints::Answer Endpoints::CreateModel(Object input) {
  const std::string name(TextOf(input, "ModelName"));
  const auto guard = co_await changing_.Lock(EndpointRecordKey(EndpointKind::kModel, name));
  if (models_.contains(name)) co_return std::unexpected(Existing(EndpointKind::kModel, name));
  CO_TRY(const auto container, ContainerOf(input));
  auto record = std::make_shared<ModelRecord>();
  record->name = name;
  record->image = TextOf(container, "Image");
  CO_TRY(record->tags, SageMakerTags(input));
  Result<Behind> behind;
  if (TextOf(container, "ModelDataUrl").empty()) {
    behind = co_await FunctionOfImage(record->image);
  } else {
    behind =
        co_await FunctionOfPackage(name, container, std::string(TextOf(input, "ExecutionRoleArn")));
  }
  if (!behind) co_return std::unexpected(behind.error());
  record->function = behind->function;
  record->qualifier = behind->qualifier;
  record->created = clock_.Wall();
  input.erase("Tags");
  record->given = std::move(input);
  CO_TRY(co_await Store<ModelRecord>(EndpointKind::kModel, models_, record));
  co_return json::object{{"ModelArn", Arn(EndpointKind::kModel, name)}};
}

Endpoints::Answer Endpoints::DescribeModel(Object input) {
  const auto name = TextOf(input, "ModelName");
  const auto found = models_.find(name);
  if (found == models_.end()) co_return std::unexpected(Missing(EndpointKind::kModel, name));
  json::object answer = found->second->given;
  answer["CreationTime"] = EpochSeconds(found->second->created);
  answer["ModelArn"] = Arn(EndpointKind::kModel, name);
  if (!answer.contains("EnableNetworkIsolation")) answer["EnableNetworkIsolation"] = false;
  co_return answer;
}

Endpoints::Answer Endpoints::ListModels(Object input) {
  std::vector<ListItem> items;
  for (const auto& [name, model] : models_) {
    items.push_back({name,
                     model->created,
                     model->created,
                     "",
                     {{"ModelName", name},
                      {"ModelArn", Arn(EndpointKind::kModel, name)},
                      {"CreationTime", EpochSeconds(model->created)}}});
  }
  co_return ListPage(std::move(items), input, "Models");
}

// The function stays, as the artifacts of a model stay in S3.
Endpoints::Answer Endpoints::DeleteModel(Object input) {
  co_return co_await Delete(EndpointKind::kModel, models_, std::string(TextOf(input, "ModelName")));
}

}  // namespace samovar
