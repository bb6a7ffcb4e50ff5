// The part of OwnApi that reads what functions left: logs and locks.

#include <algorithm>
#include <boost/json/serialize.hpp>
#include <charconv>
#include <fstream>

#include "gateway/own_api.h"
#include "gateway/reply.h"
#include "wire/utf8.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr std::size_t kMaxLines = 100'000;
constexpr std::size_t kMaxLock = 4 << 20;
constexpr std::chrono::seconds kFollowTurn{15};

std::optional<std::int64_t> ParseNumber(std::string_view text) {
  std::int64_t value = 0;
  auto end = text.data() + text.size();
  auto parsed = std::from_chars(text.data(), end, value);
  if (parsed.ec != std::errc() || parsed.ptr != end) return std::nullopt;
  return value;
}

std::string JsonLines(const std::vector<LogRecord>& lines) {
  std::string text;
  for (auto& line : lines) {
    auto since = line.time.time_since_epoch();
    auto millis = std::chrono::duration_cast<std::chrono::milliseconds>(since).count();
    json::object row{{"timestamp", millis},
                     {"stream", line.stream},
                     {"version", line.version},
                     {"message", line.message}};
    text += json::serialize(row);
    text += '\n';
  }
  return text;
}

Result<LogQuery> ReadLogQuery(const HttpRequest& request) {
  LogQuery query;
  if (auto limit = request.Query("limit")) {
    auto value = ParseNumber(*limit);
    if (!value || *value < 1 || *value > static_cast<std::int64_t>(kMaxLines)) {
      return Fail(Code::kInvalid, "limit: expected a number from 1 to 100000, got " + *limit);
    }
    query.limit = static_cast<std::size_t>(*value);
  }
  if (auto since = request.Query("since")) {
    auto value = ParseNumber(*since);
    if (!value || *value < 0 || *value > 253'402'300'799'999) {
      return Fail(Code::kInvalid, "since: expected Unix milliseconds, got " + *since);
    }
    query.since = WallTime(std::chrono::milliseconds(*value));
  }
  return query;
}

Task<Result<std::optional<std::string>>> NextLines(std::shared_ptr<LogFollower> follower,
                                                   const Clock& clock) {
  while (!follower->Ended()) {
    CO_TRY(auto lines, co_await follower->Next(Deadline::After(clock, kFollowTurn)));
    if (!lines.empty()) co_return JsonLines(lines);
  }
  co_return std::optional<std::string>();
}

}  // namespace

Task<OwnApi::Answer> OwnApi::Logs(HttpRequest& request, std::string function,
                                  const std::string& id) {
  auto& parts = core_.parts;
  CO_TRY(auto query, ReadLogQuery(request));
  HttpResponse response;
  response.headers.Add("Content-Type", "application/x-ndjson");
  response.headers.Add(kRequestIdField, id);
  bool exists = std::ranges::binary_search(parts.registry.Names(), function);
  auto unknown = [&] {
    return Fail(Code::kNotFound, "there is no function " + function, "NoSuchFunction");
  };
  if (request.Query("follow").value_or("") == "1") {
    if (!exists) co_return unknown();
    std::shared_ptr<LogFollower> follower = parts.logs.Follow(function, query);
    response.endless = true;
    response.stream = [follower, &clock = parts.clock] { return NextLines(follower, clock); };
    co_return response;
  }
  CO_TRY(auto lines, co_await parts.logs.Read(function, query));
  if (lines.empty() && !exists) co_return unknown();  // a deleted function may still have lines
  response.body = JsonLines(lines);
  co_return response;
}

// What `samovar deploy` wrote into the package; any client may have written it.
Task<OwnApi::Answer> OwnApi::Lock(HttpRequest& request, std::string function,
                                  const std::string& id) {
  auto& parts = core_.parts;
  const auto dir = parts.registry.CodeDir(function, request.Query("qualifier").value_or(""));
  if (dir.empty()) co_return Fail(Code::kNotFound, "there is no such function that can run");
  auto read = [path = dir + "/.samovar/requirements.lock"]() -> Result<std::string> {
    std::ifstream file(path, std::ios::binary);
    if (!file) return Fail(Code::kNotFound, "its package was built without a lock");
    std::string text(kMaxLock, '\0');
    file.read(text.data(), static_cast<std::streamsize>(text.size()));
    text.resize(static_cast<std::size_t>(file.gcount()));
    if (!IsUtf8(text)) return Fail(Code::kNotFound, "what its package has as a lock is no text");
    return text;
  };
  CO_TRY(auto lock, co_await RunBlocking(parts.pool, std::move(read)));
  co_return JsonReply(200, {{"lock", lock}}, id);
}

}  // namespace samovar
