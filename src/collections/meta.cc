#include "collections/meta.h"

#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>

namespace samovar {

namespace json = boost::json;

std::string EncodeMeta(const CollectionMeta& meta) {
  const auto created =
      std::chrono::duration_cast<std::chrono::milliseconds>(meta.created.time_since_epoch());
  json::object object{{"format", 1},
                      {"dimension", meta.schema.dimension},
                      {"metric", MetricName(meta.schema.metric)},
                      {"storage", StorageName(meta.schema.storage)},
                      {"hash_seed", meta.hash_seed},
                      {"created", created.count()}};
  if (!meta.about.empty()) object["about"] = meta.about;
  return json::serialize(object) + "\n";
}

Result<CollectionMeta> DecodeMeta(std::string_view text, const std::string& name) {
  boost::system::error_code error;
  const json::value value = json::parse(text, error);
  const auto* object = value.if_object();
  auto number = [&](std::string_view member) -> std::optional<std::uint64_t> {
    const auto* found = object ? object->if_contains(member) : nullptr;
    if (!found) return std::nullopt;
    boost::system::error_code bad;
    const auto n = found->to_number<std::uint64_t>(bad);
    return bad ? std::nullopt : std::optional(n);
  };
  auto word = [&](std::string_view member) -> std::string_view {
    const auto* found = object ? object->if_contains(member) : nullptr;
    return found && found->is_string() ? std::string_view(found->get_string()) : "";
  };
  if (number("format").value_or(1) > 1) {
    return Fail(Code::kInternal, name + " is of a newer format than 1");
  }
  const auto dimension = number("dimension");
  const auto seed = number("hash_seed");
  const auto created = number("created");
  const auto metric = ParseMetric(word("metric"));
  const auto storage = ParseStorage(word("storage"));
  if (error || !number("format") || !dimension || *dimension > kMaxDimension || !seed || !created ||
      !metric || !storage) {
    return Fail(Code::kInternal, name + " is damaged");
  }
  CollectionMeta meta{.schema = {static_cast<std::uint32_t>(*dimension), *metric, *storage},
                      .hash_seed = *seed,
                      .created = WallTime(std::chrono::milliseconds(*created)),
                      .about = std::string(word("about"))};
  TRY(CheckSchema(meta.schema));
  return meta;
}

}  // namespace samovar
