// samovar collections create|list|load|put|delete|search|export|stats
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <cstdio>

#include "base/encoding.h"
#include "main/commands.h"
#include "main/progress.h"
#include "main/row_source.h"
#include "main/table.h"

namespace samovar {

namespace {

namespace json = boost::json;

constexpr std::size_t kRowsABatch = 2000;
constexpr std::size_t kBytesABatch = 4 << 20;

struct Options {
  std::string name, metric = "cosine", storage = "f32", id, vector, attributes, filter;
  RowFile file;
  std::uint64_t dimension = 0;
  std::uint64_t k = 10, candidates = 0;
  bool exact = false;
  bool recall = false;
};

std::string PathOf(const std::string& name, std::string_view rest = "") {
  return "/samovar/v1/collections/" + PercentEncode(name) + std::string(rest);
}

// Text of an option that must be JSON.
Result<json::value> JsonOption(const std::string& option, const std::string& text) {
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error) return Fail(Code::kInvalid, option + ": not JSON: " + text);
  return value;
}

// The answer as JSON, or what it says in a sentence.
int Say(const Session& session, const json::value& answer, const std::string& sentence) {
  if (session.json) {
    session.PrintJson(answer);
  } else {
    session.Say(sentence);
  }
  return kExitOk;
}

Result<int> Create(const Session& session, const Options& options) {
  TRY(const ApiClient client, session.Client());
  TRY(const json::value made, client.Json("POST", "/samovar/v1/collections",
                                          json::object{{"name", options.name},
                                                       {"dimension", options.dimension},
                                                       {"metric", options.metric},
                                                       {"storage", options.storage}}));
  return Say(session, made, "created " + options.name);
}

Result<int> List(const Session& session) {
  TRY(const ApiClient client, session.Client());
  TRY(const json::array rows, client.AllPages("/samovar/v1/collections", "collections"));
  if (session.json) {
    session.PrintJson(json::object{{"collections", rows}});
    return kExitOk;
  }
  Table table({{"NAME"}, {"DIMENSION", true}, {"METRIC"}, {"STORAGE"}, {"CREATED"}, {"ERROR"}});
  for (const auto& row : rows) {
    table.Add({JsonText(row, "name"), fmt::to_string(JsonNumber(row, "dimension")),
               JsonText(row, "metric"), JsonText(row, "storage"),
               JsonText(row, "created").substr(0, 19), JsonText(row, "error")});
  }
  if (table.Empty()) {
    session.Say("no collections; make one: samovar collections create NAME --dimension N");
  } else {
    session.Print(table.Render(session.out));
  }
  return kExitOk;
}

Result<json::value> Send(const ApiClient& client, const std::string& name, json::array changes) {
  return client.Json("POST", PathOf(name, "/batch"), json::object{{"changes", std::move(changes)}});
}

// Which change of a batch the server refused, and what it said of it ("changes[3]: ...").
struct RefusedChange {
  std::uint64_t index = 0;
  std::string why;
};

std::optional<RefusedChange> RefusedChangeOf(const std::string& text) {
  constexpr std::string_view kStart = "changes[";
  const auto end = text.find("]: ");
  RefusedChange refused;
  if (!text.starts_with(kStart) || end == text.npos) return std::nullopt;
  const auto [_, bad] =
      std::from_chars(text.data() + kStart.size(), text.data() + end, refused.index);
  if (bad != std::errc()) return std::nullopt;
  refused.why = text.substr(end + 3);
  return refused;
}

// The server counts changes of the batch, people count rows of the file.
std::unexpected<Error> Refused(const Error& error, const std::string& file, std::uint64_t before,
                               std::size_t sent) {
  const std::string& text = error.message;
  if (const auto change = RefusedChangeOf(text)) {
    return Fail(error.code,
                fmt::format("{}: row {}: {}", file, before + change->index + 1, change->why));
  }
  return Fail(error.code,
              fmt::format("rows {} to {} of {}: {}", before + 1, before + sent, file, text));
}

// A file is loaded as far as it goes: what is wrong says how far that was.
std::unexpected<Error> SoFar(Error error, std::uint64_t count) {
  if (count > 0) error.message += fmt::format(" (rows 1 to {} are loaded)", count);
  return std::unexpected(std::move(error));
}

Result<int> Load(const Session& session, const Options& options) {
  TRY(auto rows, OpenRowSource(options.file, session.err, session.clock));
  TRY(const ApiClient client, session.Client());
  // Before the first batch is read, and also where the file turns out to have no rows.
  TRY(const json::value found, client.Json("GET", PathOf(options.name)));
  Progress progress(session.err, session.clock, "loading " + options.file.path);
  std::uint64_t count = 0;
  json::value last = JsonMember(found, "stats");
  json::array changes;
  std::size_t bytes = 0;
  while (true) {
    const std::uint64_t before = rows->Done();
    auto read = rows->Next();
    if (!read) return SoFar(read.error(), count);
    auto& row = *read;
    if (row) {
      const auto* vector = row->if_contains("vector");
      const std::size_t packed = vector && vector->is_string() ? vector->get_string().size() : 0;
      bytes += 1024 + std::max<std::size_t>(packed, rows->Done() - before);
      changes.push_back(std::move(*row));
    }
    const bool full = changes.size() >= kRowsABatch || bytes >= kBytesABatch;
    if (!changes.empty() && (full || !row)) {
      const std::size_t sent = changes.size();
      auto answer = Send(client, options.name, std::move(changes));
      if (!answer) {
        return SoFar(Refused(answer.error(), options.file.path, count, sent).error(), count);
      }
      count += sent;
      last = std::move(*answer);
      changes = {};
      bytes = 0;
      progress.Bytes(rows->Done(), rows->Total());
    }
    if (!row) break;
  }
  const json::value generation = static_cast<std::uint64_t>(JsonNumber(last, "generation"));
  progress.Done(fmt::format("{} rows in {}, generation {}", count, options.name,
                            json::serialize(generation)));
  if (session.json) session.PrintJson(json::object{{"rows", count}, {"generation", generation}});
  return kExitOk;
}

Result<int> Put(const Session& session, const Options& options) {
  json::object change{{"op", options.vector.empty() ? "update" : "put"}, {"id", options.id}};
  if (!options.vector.empty()) {
    TRY(change["vector"], JsonOption("--vector", options.vector));
  }
  if (!options.attributes.empty()) {
    TRY(change["attributes"], JsonOption("--attributes", options.attributes));
  } else if (options.vector.empty()) {
    return Fail(Code::kInvalid, "give --vector, --attributes or both");
  }
  TRY(const ApiClient client, session.Client());
  const auto sent = Send(client, options.name, {std::move(change)});
  if (!sent) {
    const auto refused = RefusedChangeOf(sent.error().message);
    return Fail(sent.error().code, refused ? refused->why : sent.error().message);
  }
  const json::value& ack = *sent;
  if (!JsonMember(ack, "missing").as_array().empty()) {
    return Fail(Code::kNotFound, "there is no row " + options.id + " in " + options.name);
  }
  return Say(session, ack, fmt::format("generation {}", JsonNumber(ack, "generation")));
}

Result<int> Delete(const Session& session, const Options& options) {
  TRY(const ApiClient client, session.Client());
  if (options.id.empty()) {
    TRY(client.Json("DELETE", PathOf(options.name)));
    return Say(session, json::object{{"deleted", options.name}}, "deleted " + options.name);
  }
  TRY(const json::value ack,
      client.Json("DELETE", PathOf(options.name, "/rows/" + PercentEncode(options.id))));
  if (!JsonMember(ack, "missing").as_array().empty()) {
    return Fail(Code::kNotFound, "there is no row " + options.id + " in " + options.name);
  }
  return Say(session, ack, "deleted " + options.id + " of " + options.name);
}

// --vector, or that of the row --id.
Result<json::value> QueryOf(const ApiClient& client, const Options& options) {
  if (options.vector.empty() == options.id.empty()) {
    return Fail(Code::kInvalid, "give --vector or --id, what is near is searched for");
  }
  if (!options.vector.empty()) return JsonOption("--vector", options.vector);
  TRY(const json::value row,
      client.Json("GET", PathOf(options.name, "/rows/" + PercentEncode(options.id))));
  return JsonMember(row, "vector");
}

Result<int> Search(const Session& session, const Options& options) {
  TRY(const ApiClient client, session.Client());
  json::object asked{{"k", options.k}};
  TRY(asked["vector"], QueryOf(client, options));
  if (!options.filter.empty()) {
    TRY(asked["filter"], JsonOption("--filter", options.filter));
  }
  if (options.exact) asked["exact"] = true;
  if (options.candidates > 0) asked["candidates"] = options.candidates;
  TRY(const json::value answer, client.Json("POST", PathOf(options.name, "/search"), asked));
  if (session.json) {
    session.PrintJson(answer);
    return kExitOk;
  }
  Table table({{"SCORE", true}, {"ID"}, {"ATTRIBUTES"}});
  for (const auto& hit : JsonMember(answer, "hits").as_array()) {
    table.Add({fmt::format("{:.4f}", JsonNumber(hit, "score")), JsonText(hit, "id"),
               json::serialize(JsonMember(hit, "attributes"))});
  }
  session.Print(table.Render(session.out, true));
  return kExitOk;
}

Result<int> Export(const Session& session, const Options& options) {
  TRY(const ApiClient client, session.Client());
  HttpCall call;
  call.method = "GET";
  call.target = PathOf(options.name, "/export");
  auto print = [&session](std::string_view piece) {
    session.Print(std::string(piece));
    return session.Unprinted() == 0;
  };
  TRY(client.Call(std::move(call), {}, print));
  return kExitOk;
}

// "recommend:1, recommend:2"
std::string UsersText(const json::value& kept) {
  std::string out;
  const json::value& users = JsonMember(kept, "pinned_by");
  if (!users.is_array() || users.as_array().empty()) return "nobody any more";
  for (const auto& user : users.as_array()) {
    out += (out.empty() ? "" : ", ") + std::string(user.as_string());
  }
  return out;
}

Result<int> Stats(const Session& session, const Options& options) {
  TRY(const ApiClient client, session.Client());
  TRY(json::value answer, client.Json("GET", PathOf(options.name)));
  std::string recall;
  if (options.recall) {
    TRY(json::value measured, client.Json("POST", PathOf(options.name, "/recall"), json::object()));
    const double queries = JsonNumber(measured, "queries");
    recall = queries == 0
                 ? "recall       not measured: there are no rows\n"
                 : fmt::format("recall@{}    {:.4f} of {} searches against exact ones\n",
                               JsonNumber(measured, "k"), JsonNumber(measured, "recall"), queries);
    answer.as_object()["recall"] = std::move(measured);
  }
  if (session.json) {
    session.PrintJson(answer);
    return kExitOk;
  }
  const json::value& stats = JsonMember(answer, "stats");
  auto number = [&](std::string_view member) { return fmt::to_string(JsonNumber(stats, member)); };
  auto size = [&](std::string_view member) {
    return HumanSize(static_cast<std::uint64_t>(JsonNumber(stats, member)));
  };
  if (const std::string error = JsonText(answer, "error"); !error.empty()) {
    return Fail(Code::kInternal, error);
  }
  std::string pins;
  if (JsonNumber(stats, "candidates") > 0) {
    pins = fmt::format("candidates   up to {} find {:.3f} of the ten nearest of a sample\n",
                       JsonNumber(stats, "candidates"), JsonNumber(stats, "sample_recall"));
  }
  if (const auto& list = JsonMember(answer, "pins"); list.is_array()) {
    for (const auto& pin : list.as_array()) {
      pins += fmt::format("pinned       {} by {}\n", JsonText(pin, "name"), UsersText(pin));
    }
  }
  session.Print(fmt::format(
      "rows         {}\ngeneration   {}\ndimension    {}\nmetric       {}\nstorage      {}\n"
      "segments     {}\nstored rows  {}\nin graphs    {}\nshared       {}\nlog          {}\n{}{}",
      number("rows"), number("generation"), JsonNumber(answer, "dimension"),
      JsonText(answer, "metric"), JsonText(answer, "storage"), number("segments"),
      number("stored_rows"), number("graph_rows"), size("shared_bytes"), size("log_bytes"), pins,
      recall));
  return kExitOk;
}

void AddSearchOptions(CLI::App* search, Options& options) {
  search->add_option("--vector", options.vector, "An array of numbers")->type_name("JSON");
  search->add_option("--id", options.id, "The vector of this row")->type_name("ID");
  search->add_option("-k", options.k, "How many (10)");
  search->add_option("--filter", options.filter, "E.g. {\"eq\": {\"year\": 1995}}")
      ->type_name("JSON");
  search->add_flag("--exact", options.exact, "Compare every vector");
  search->add_option("--candidates", options.candidates,
                     "Rows that a walk keeps on its way (as many as suit k)");
}

void AddLoadOptions(CLI::App* load, RowFile& file) {
  load->add_option("FILE", file.path, "A .jsonl, .csv, .parquet or .npy file")->required();
  load->add_option("--ids", file.ids, "Ids of an .npy file's rows, one a line");
  load->add_option("--id-column", file.id_column, "Of .csv and .parquet: where ids are (id)");
  load->add_option("--vector-column", file.vector_column,
                   "Of .csv and .parquet: where vectors are (vector)");
  load->add_option("--python", file.python,
                   "The Python to read .parquet with, or to make one with pyarrow from");
  load->add_option("--cache", file.cache, "Where that one is kept (~/.cache/samovar/parquet)");
}

constexpr const char* kExamples =
    "  samovar collections create films --dimension 64 --metric cosine\n"
    "  samovar collections load films films.jsonl\n"
    "  samovar collections load films vectors.npy --ids ids.txt\n"
    "  samovar collections load films films.parquet --id-column film --vector-column embedding\n"
    "  samovar collections put films heat --vector '[0.1, 0.2]' --attributes '{\"year\": 1995}'\n"
    "  samovar collections search films --id heat -k 5 --filter '{\"range\": {\"year\": {\"gte\": "
    "1990}}}'\n"
    "  samovar collections delete films heat\n"
    "  samovar collections export films > films.jsonl\n"
    "  samovar collections stats films --recall";

}  // namespace

void AddCollectionsCommand(Commands& commands) {
  CLI::App* sub = commands.Add("collections",
                               "Live state that every instance sees: rows with vectors", kExamples);
  sub->require_subcommand(1);
  auto options = std::make_shared<Options>();
  auto verb = [&](const std::string& name, const std::string& summary,
                  Result<int> (*work)(const Session&, const Options&)) {
    CLI::App* made = commands.AddVerb(sub, name, summary, [options, work](const Session& session) {
      return work(session, *options);
    });
    made->add_option("NAME", options->name, "The collection")->required();
    return made;
  };
  CLI::App* create = verb("create", "Make one", Create);
  create->add_option("--dimension", options->dimension, "Components of a vector")->required();
  create->add_option("--metric", options->metric, "cosine, dot or l2 (cosine)");
  create->add_option("--storage", options->storage, "f32, f16 (half the memory) or i8 (a quarter)");
  commands.AddVerb(sub, "list", "List them", List);
  CLI::App* load = verb("load", "Put the rows of a file", Load);
  AddLoadOptions(load, options->file);
  CLI::App* put = verb("put", "Put a row, or change attributes of one", Put);
  put->add_option("ID", options->id, "The row")->required();
  put->add_option("--vector", options->vector, "An array of numbers; without it attributes change")
      ->type_name("JSON");
  put->add_option("--attributes", options->attributes,
                  "An object; without --vector null removes one")
      ->type_name("JSON");
  CLI::App* remove = verb("delete", "Delete a row, or without ID all of the collection", Delete);
  remove->add_option("ID", options->id, "The row");
  AddSearchOptions(verb("search", "The rows that are nearest to a vector", Search), *options);
  verb("export", "Print all rows, one JSON object a line", Export);
  CLI::App* stats = verb("stats", "Rows, generation, memory", Stats);
  stats->add_flag("--recall", options->recall,
                  "Compare searches with exact ones, on what is there");
}

}  // namespace samovar
