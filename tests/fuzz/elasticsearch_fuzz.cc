// Bodies of Elasticsearch's door: an index's creation, a search, and the filter that it becomes.

#include <boost/json/parse.hpp>

#include "collections/filter.h"
#include "input.h"
#include "wire/elasticsearch.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::string_view text = input.Rest();
  boost::system::error_code error;
  const auto value = boost::json::parse({text.data(), text.size()}, error);
  if (error || !value.is_object()) return 0;
  const auto mapping = es::ReadIndex(value.get_object());
  if (mapping) {
    const auto again = es::ReadMapping(es::WriteMapping(*mapping));
    CHECK(again && again->field == mapping->field);
  }
  const auto search = es::ReadSearch(value.get_object(), mapping.value_or(es::Mapping()));
  auto document = value.get_object();
  (void)es::FitDocument(mapping.value_or(es::Mapping()), document);
  if (!search) {
    CHECK(es::StatusOf(search.error()) == 400);
    return 0;
  }
  search->source.Shows("a.b");
  const std::string& filter = search->knn ? search->knn->filter : search->filter;
  if (const auto parsed = Filter::Parse(filter)) parsed->Matches(R"({"a":1,"b":["x"]})");
  return 0;
}
