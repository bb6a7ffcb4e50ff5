#pragma once
// Collections' JSON: what docs/openapi/collections.yaml calls Schema, Batch, Search, Row and so on.
// Errors   kInvalid, naming the place: "changes[3].vector: expected 128 numbers, got 127".
// Threads  Pure; large bodies are read on a pool thread.

#include <boost/json/object.hpp>
#include <boost/json/value.hpp>
#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "collections/collections.h"

namespace samovar {

// The members of a request's body that must be a JSON object.
Result<boost::json::object> ParseBody(std::string_view body);
// The same, of which only `known` may be there.
Result<boost::json::object> ParseBody(std::string_view body,
                                      std::initializer_list<std::string_view> known);

struct CreateRequest {
  std::string name;
  Schema schema;
};
Result<CreateRequest> ParseCreate(std::string_view body);

Result<Batch> ParseBatch(const Schema& schema, std::string_view body);
// About as long as ParseBatch takes, on a processor that nobody else uses.
std::chrono::nanoseconds ParsingTime(std::string_view body);

struct SearchRequest {
  std::vector<float> vector;
  std::size_t k = 10;
  Filter filter;
  std::uint64_t min_generation = 0;
  bool vectors = false;  // answered too
  SearchOptions options;
};
// What a measurement of recall may have: how many rows are searched for, and how many near ones
// each.
struct RecallRequest {
  std::size_t queries = 100;
  std::size_t k = 10;
};
Result<RecallRequest> ParseRecall(std::string_view body);
Result<SearchRequest> ParseSearch(const Schema& schema, std::string_view body);

struct GetRequest {
  std::vector<std::string> ids;
  std::uint64_t min_generation = 0;
};
Result<GetRequest> ParseGet(std::string_view body);
Result<std::uint64_t> ParseGeneration(std::string_view text);
// How many a page of a list has.
Result<std::size_t> ParseLimit(std::string_view text);

boost::json::object InfoJson(const CollectionInfo& info);
boost::json::object StatsJson(const CollectionStats& stats);
boost::json::object AckJson(const Ack& ack);
Result<boost::json::object> RowJson(const Snapshot& snapshot, RowRef row, bool vector);

}  // namespace samovar
