// AWS::Serverless::LayerVersion and AWS::Lambda::LayerVersion.
#include <fmt/format.h>

#include "main/template_parts.h"

namespace samovar {

Result<void> AddLayer(const Resource& resource, PartContext context) {
  TRY(YamlNode resolved, context.intrinsics.Resolve(resource.properties));
  Properties properties(resource, resolved, context.intrinsics);
  const bool sam = resource.type == "AWS::Serverless::LayerVersion";
  const std::string_view where = sam ? "ContentUri" : "Content";
  LayerPlan layer;
  layer.logical_id = resource.id;
  layer.line = resource.line;
  TRY(layer.name, ResourceName(resource, context.input, context.intrinsics));
  TRY(layer.description, properties.Text("Description"));
  TRY(layer.license, properties.Text("LicenseInfo"));
  TRY(layer.runtimes, properties.Texts("CompatibleRuntimes"));
  TRY(layer.architectures, properties.Texts("CompatibleArchitectures"));
  TRY(std::string retention, properties.Text("RetentionPolicy", "Retain"));
  layer.keep_old = retention != "Delete";
  const YamlNode* content = properties.Take(where);
  if (content == nullptr || !content->IsScalar() || content->scalar.starts_with("s3://")) {
    return properties.At(content == nullptr ? resource.line : content->line, where,
                         "expected a path; content in S3 is not reached from here");
  }
  layer.content.path = content->scalar;
  layer.content.build_method = resource.build_method;
  properties.Ignore({"LayerName", "PublishLambdaVersion"});
  properties.WarnOfRest();
  context.plan.layers.push_back(std::move(layer));
  return {};
}

}  // namespace samovar
