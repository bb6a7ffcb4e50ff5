#include "functions/endpoint_records.h"

#include <fmt/format.h>

#include <boost/json.hpp>

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::int64_t kFormat = 1;

std::int64_t Milliseconds(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

WallTime TimeAt(const json::object& doc, std::string_view key) {
  return WallTime(std::chrono::milliseconds(doc.at(key).to_number<std::int64_t>()));
}

json::object Document(const SageMakerRecord& record) {
  json::object tags;
  for (const auto& [key, value] : record.tags) tags[key] = value;
  return {{"format", kFormat},
          {"name", record.name},
          {"given", record.given},
          {"created", Milliseconds(record.created)},
          {"tags", std::move(tags)}};
}

void Fill(const json::object& doc, SageMakerRecord& record) {
  record.name = doc.at("name").as_string();
  record.given = doc.at("given").as_object();
  record.created = TimeAt(doc, "created");
  for (const auto& [key, value] : doc.at("tags").as_object()) {
    record.tags[key] = value.as_string();
  }
}

json::array Variants(const std::vector<EndpointVariant>& variants) {
  json::array list;
  for (const auto& v : variants) {
    list.push_back(json::object{{"name", v.name},
                                {"model", v.model},
                                {"image", v.image},
                                {"function", v.function},
                                {"qualifier", v.qualifier},
                                {"weight", v.weight},
                                {"instances", v.instances},
                                {"serverless", v.serverless}});
  }
  return list;
}

std::vector<EndpointVariant> VariantsOf(const json::value& list) {
  std::vector<EndpointVariant> variants;
  for (const auto& entry : list.as_array()) {
    const auto& doc = entry.as_object();
    EndpointVariant v;
    v.name = doc.at("name").as_string();
    v.model = doc.at("model").as_string();
    v.image = doc.at("image").as_string();
    v.function = doc.at("function").as_string();
    v.qualifier = doc.at("qualifier").as_string();
    v.weight = doc.at("weight").to_number<double>();
    v.instances = doc.at("instances").to_number<int>();
    v.serverless = doc.at("serverless").as_object();
    variants.push_back(std::move(v));
  }
  return variants;
}

// boost::json throws on a document that does not have the shape that we wrote; here it stops.
template <class F>
auto Read(std::string_view document, F read) -> Result<decltype(read(json::object()))> {
  try {
    const auto value = json::parse(json::string_view(document.data(), document.size()));
    const auto& doc = value.as_object();
    if (const auto format = doc.at("format").as_int64(); format > kFormat) {
      return Fail(Code::kInternal,
                  fmt::format("read a SageMaker record: format {} is newer than this", format));
    }
    return read(doc);
  } catch (const std::exception& failed) {
    return Fail(Code::kInternal, fmt::format("read a SageMaker record: {}", failed.what()));
  }
}

}  // namespace

std::string_view KindName(EndpointKind kind) {
  if (kind == EndpointKind::kModel) return "model";
  return kind == EndpointKind::kConfig ? "endpoint-config" : "endpoint";
}

std::string_view KindWords(EndpointKind kind) {
  return kind == EndpointKind::kConfig ? "endpoint configuration" : KindName(kind);
}

std::string EndpointRecordKey(EndpointKind kind, std::string_view name) {
  return fmt::format("functions/sagemaker/{}/{}", KindName(kind), name);
}

std::string WriteRecord(const ModelRecord& record) {
  auto doc = Document(record);
  doc["function"] = record.function;
  doc["qualifier"] = record.qualifier;
  doc["image"] = record.image;
  return json::serialize(doc);
}

std::string WriteRecord(const ConfigRecord& record) { return json::serialize(Document(record)); }

std::string WriteRecord(const EndpointRecord& record) {
  auto doc = Document(record);
  doc["status"] = record.status;
  doc["failure"] = record.failure;
  doc["modified"] = Milliseconds(record.modified);
  doc["config"] = record.config;
  doc["variants"] = Variants(record.variants);
  doc["next_config"] = record.next_config;
  doc["next"] = Variants(record.next);
  return json::serialize(doc);
}

Result<ModelRecord> ReadModelRecord(std::string_view document) {
  return Read(document, [](const json::object& doc) {
    ModelRecord record;
    Fill(doc, record);
    record.function = doc.at("function").as_string();
    record.qualifier = doc.at("qualifier").as_string();
    record.image = doc.at("image").as_string();
    return record;
  });
}

Result<ConfigRecord> ReadConfigRecord(std::string_view document) {
  return Read(document, [](const json::object& doc) {
    ConfigRecord record;
    Fill(doc, record);
    return record;
  });
}

Result<EndpointRecord> ReadEndpointRecord(std::string_view document) {
  return Read(document, [](const json::object& doc) {
    EndpointRecord record;
    Fill(doc, record);
    record.status = doc.at("status").as_string();
    record.failure = doc.at("failure").as_string();
    record.modified = TimeAt(doc, "modified");
    record.config = doc.at("config").as_string();
    record.variants = VariantsOf(doc.at("variants"));
    record.next_config = doc.at("next_config").as_string();
    record.next = VariantsOf(doc.at("next"));
    return record;
  });
}

double EpochSeconds(WallTime time) { return static_cast<double>(Milliseconds(time)) / 1000; }

}  // namespace samovar
