// ElasticsearchApi, its part that reads documents and many of them at once.

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <chrono>
#include <map>
#include <set>

#include "base/ids.h"
#include "gateway/collection_write.h"
#include "gateway/elasticsearch_api.h"

namespace samovar {

namespace json = boost::json;

namespace {

constexpr std::size_t kMostOperations = 200'000;

// One line's action with its document, and what came of it.
struct Operation {
  std::string action;  // index, create, update, delete
  std::string index;
  std::string id;
  json::object source = {};
  std::optional<Error> error = {};
  std::string_view result = {};
  unsigned status = 0;
};

std::unexpected<Error> Malformed(std::size_t line, const std::string& why) {
  return Fail(Code::kInvalid,
              "Malformed action/metadata line [" + std::to_string(line) + "], " + why,
              "illegal_argument_exception");
}

class Lines {
 public:
  explicit Lines(std::string_view text) : text_(text) {}
  // The next one that is not empty.
  std::optional<std::string_view> Next() {
    while (!text_.empty()) {
      const std::size_t end = std::min(text_.find('\n'), text_.size());
      std::string_view line = text_.substr(0, end);
      text_.remove_prefix(std::min(end + 1, text_.size()));
      ++number_;
      if (line.ends_with('\r')) line.remove_suffix(1);
      if (!line.empty()) return line;
    }
    return std::nullopt;
  }
  std::size_t Number() const { return number_; }

 private:
  std::string_view text_;
  std::size_t number_ = 0;
};

Result<json::object> ObjectIn(std::string_view line, std::size_t number) {
  boost::system::error_code error;
  json::value value = json::parse(line, error);
  if (error || !value.is_object()) return Malformed(number, "expected a JSON object");
  return std::move(value.get_object());
}

Result<Operation> ReadAction(const json::object& line, std::size_t number,
                             const std::string& index) {
  if (line.size() != 1 || !line.begin()->value().is_object()) {
    return Malformed(number, "expected one action with an object");
  }
  Operation operation{.action = std::string(line.begin()->key()), .index = index, .id = ""};
  const std::string& action = operation.action;
  if (action != "index" && action != "create" && action != "update" && action != "delete") {
    return Malformed(number, "expected index, create, update or delete, found [" + action + "]");
  }
  for (const auto& [name, value] : line.begin()->value().get_object()) {
    if (name != "_index" && name != "_id") {
      if (name == "retry_on_conflict" || name == "routing") continue;
      if (name == "require_alias" && value == false) continue;
      return Malformed(number, "[" + std::string(name) + "] is not supported here");
    }
    if (!value.is_string()) return Malformed(number, "[" + std::string(name) + "] is no string");
    (name == "_id" ? operation.id : operation.index) = value.get_string();
  }
  if (operation.index.empty()) return Malformed(number, "[_index] is missing");
  if (operation.id.empty()) {
    if (action == "update" || action == "delete") return Malformed(number, "[_id] is missing");
    operation.id = RandomHex(20);
  }
  return operation;
}

Result<std::vector<Operation>> ReadOperations(const std::string& body, const std::string& index) {
  std::vector<Operation> operations;
  Lines lines(body);
  while (const auto line = lines.Next()) {
    TRY(const auto object, ObjectIn(*line, lines.Number()));
    TRY(auto operation, ReadAction(object, lines.Number(), index));
    if (operation.action != "delete") {
      const auto source = lines.Next();
      if (!source) return Malformed(lines.Number(), "the document is missing");
      TRY(operation.source, ObjectIn(*source, lines.Number()));
    }
    operations.push_back(std::move(operation));
    if (operations.size() > kMostOperations) return Malformed(lines.Number(), "too many actions");
  }
  if (operations.empty()) {
    return Fail(Code::kInvalid, "Validation Failed: 1: no requests added;",
                "action_request_validation_exception");
  }
  return operations;
}

// Operations of one index that go into one batch.
class Round {
 public:
  explicit Round(const EsIndex& index)
      : index_(index), snapshot_(index.collection->Latest()), batch_(snapshot_.Of()) {}

  // Whether the operation is in, or has its error; else the batch has to be written before it.
  bool Add(Operation& operation) {
    const auto known = changed_.find(operation.id);
    if (known != changed_.end() && operation.action == "update") return false;
    const bool there =
        known != changed_.end() ? known->second : snapshot_.Find(operation.id).has_value();
    const auto added = Try(operation, there);
    if (!added && added.error().code == Code::kTooLarge && batch_.Count() > 0) return false;
    if (!added) {
      operation.error = added.error();
      operation.status = es::StatusOf(added.error());
    }
    return true;
  }
  Batch Take() { return std::move(batch_); }
  bool Empty() const { return batch_.Count() == 0; }

 private:
  Result<void> Try(Operation& operation, bool there) {
    if (operation.action == "delete") {
      TRY(batch_.Delete(operation.id));
      return Done(operation, there ? "deleted" : "not_found", there ? 200 : 404, false);
    }
    if (operation.action == "update") return Change(operation);
    if (operation.action == "create" && there) {
      return Fail(Code::kConflict,
                  "[" + operation.id + "]: version conflict, document already exists",
                  "version_conflict_engine_exception");
    }
    TRY(const auto document, ReadDocument(index_.mapping, operation.source));
    TRY(PutDocument(batch_, index_.mapping, operation.id, document));
    return Done(operation, there ? "updated" : "created", there ? 200 : 201, true);
  }

  Result<void> Change(Operation& operation) {
    TRY(const auto update, es::ReadUpdate(operation.source));
    TRY(const auto change, ReadDocument(index_.mapping, update.doc));
    if (const auto row = snapshot_.Find(operation.id)) {
      TRY(UpdateDocument(batch_, snapshot_, *row, operation.id, change));
      return Done(operation, "updated", 200, true);
    }
    if (!update.otherwise) {
      return Fail(Code::kNotFound, "[" + operation.id + "]: document missing",
                  "document_missing_exception");
    }
    TRY(const auto whole, ReadDocument(index_.mapping, *update.otherwise));
    TRY(PutDocument(batch_, index_.mapping, operation.id, whole));
    return Done(operation, "created", 201, true);
  }

  Result<void> Done(Operation& operation, std::string_view result, unsigned status, bool there) {
    operation.result = result;
    operation.status = status;
    changed_[operation.id] = there;
    return {};
  }

  const EsIndex& index_;
  Snapshot snapshot_;
  Batch batch_;
  std::map<std::string, bool> changed_;  // by this batch: whether it is then there
};

json::object ItemOf(const Operation& operation, std::uint64_t generation) {
  json::object item{
      {"_index", operation.index}, {"_id", operation.id}, {"status", operation.status}};
  if (operation.error) {
    auto error = es::ErrorBody(*operation.error)["error"].get_object();
    error.erase("root_cause");
    item["error"] = std::move(error);
  } else {
    item["result"] = operation.result;
    item["_version"] = generation;
    item["_seq_no"] = generation;
    item["_primary_term"] = 1;
    item["_shards"] = json::object{{"total", 1}, {"successful", 1}, {"failed", 0}};
  }
  return {{operation.action, std::move(item)}};
}

// Objects are merged member by member, as Elasticsearch does.
void MergeInto(json::object& into, const json::object& change) {
  for (const auto& [name, value] : change) {
    auto* old = into.if_contains(name);
    if (old && old->is_object() && value.is_object()) {
      MergeInto(old->get_object(), value.get_object());
    } else {
      into[name] = value;
    }
  }
}

}  // namespace

Result<EsDocument> ReadDocument(const es::Mapping& mapping, json::object source) {
  EsDocument document;
  if (const auto* vector = source.if_contains(mapping.field)) {
    TRY(document.vector, es::ReadVector(*vector, mapping.field, mapping.bytes));
    source.erase(mapping.field);
  }
  TRY(es::FitDocument(mapping, source));
  document.attributes = std::move(source);
  return document;
}

Result<void> PutDocument(Batch& batch, const es::Mapping& mapping, std::string_view id,
                         const EsDocument& document) {
  if (!document.vector) {
    return Fail(Code::kInvalid,
                "[" + mapping.field + "] is missing: each document of this index has its vector",
                "document_parsing_exception");
  }
  auto put = batch.Put(id, *document.vector, json::serialize(document.attributes));
  if (!put && put.error().code == Code::kInvalid) put.error().name = "document_parsing_exception";
  return put;
}

bool NeedsRow(const EsDocument& change) {
  bool objects = false;
  for (const auto& member : change.attributes) objects = objects || member.value().is_object();
  return change.vector || objects;
}

Result<void> UpdateDocument(Batch& batch, const Snapshot& snapshot, RowRef row, std::string_view id,
                            const EsDocument& change) {
  if (!NeedsRow(change)) return batch.Update(id, json::serialize(change.attributes));
  TRY(const auto attributes, snapshot.Attributes(row));
  TRY(auto whole, EsBody(std::string(attributes)));
  const auto vector = change.vector ? *change.vector : snapshot.Vector(row);
  TRY(snapshot.Check());
  MergeInto(whole, change.attributes);
  if (change.vector) return batch.Put(id, vector, json::serialize(whole));
  json::object members;  // those that are named, as they are then
  for (const auto& member : change.attributes) members[member.key()] = whole[member.key()];
  return batch.Update(id, json::serialize(members));
}

Task<ElasticsearchApi::Answer> ElasticsearchApi::Bulk(Asked& asked, std::string index) {
  const auto began = core_.parts.clock.Now();
  if (asked.method != "POST" && asked.method != "PUT") {
    co_return Fail(Code::kInvalid, "_bulk is a POST", "illegal_argument_exception");
  }
  auto read = [body = std::move(asked.body), index] { return ReadOperations(body, index); };
  CO_TRY(auto operations, co_await RunBlocking(core_.parts.pool, std::move(read)));
  json::array items;
  bool errors = false;
  for (std::size_t next = 0; next < operations.size();) {
    const std::size_t first = next;
    const std::string name = operations[first].index;
    const KeyedMutex::Guard turn = co_await turns_.Lock(name);
    const auto found = FindIndex(name);
    Result<Ack> ack = Ack{};
    if (found) {
      Round round(*found);
      auto fill = [&] {
        while (next < operations.size() && operations[next].index == name &&
               round.Add(operations[next])) {
          ++next;
        }
        return true;
      };
      (void)co_await RunBlocking(core_.parts.pool, fill);
      if (!round.Empty()) ack = co_await WriteBatch(core_, collections_, name, round.Take());
    } else {
      ack = std::unexpected(found.error());
      while (next < operations.size() && operations[next].index == name) ++next;
    }
    for (std::size_t i = first; i < next; ++i) {
      Operation& operation = operations[i];
      if (!ack && !operation.error) {
        operation.error = ack.error();
        operation.status = es::StatusOf(ack.error());
      }
      errors = errors || operation.error.has_value();
      items.push_back(ItemOf(operation, ack ? ack->generation : 0));
    }
  }
  const auto took =
      std::chrono::duration_cast<std::chrono::milliseconds>(core_.parts.clock.Now() - began);
  co_return Reply{200, {{"took", took.count()}, {"errors", errors}, {"items", std::move(items)}}};
}

}  // namespace samovar
