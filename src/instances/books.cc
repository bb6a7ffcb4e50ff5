#include "instances/books.h"

#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/value.hpp>
#include <utility>

namespace samovar {
namespace {

constexpr std::string_view kPrefix = "books/";
constexpr std::string_view kCountPrefix = "books/version/";
constexpr std::string_view kSinceKey = "books/since";
constexpr Bytes kFreeStorage = Bytes::MiB(512);

std::string KeyOf(const Account& account) {
  return fmt::format("{}{}/{}", kCountPrefix, account.function, account.version);
}

std::string Encode(const Account& a) {
  boost::json::object o{{"invocations", a.invocations},
                        {"errors", a.errors},
                        {"throttles", a.throttles},
                        {"timeouts", a.timeouts},
                        {"clones", a.clones},
                        {"spares", a.spares},
                        {"cold_starts", a.cold_starts},
                        {"duration_ns", a.duration.count()},
                        {"billed_ms", a.billed.count()},
                        {"init_ns", a.init.count()},
                        {"memory_time", a.memory_time},
                        {"storage_time", a.storage_time},
                        {"max_memory", a.max_memory.count},
                        {"memory", a.memory.count}};
  return boost::json::serialize(o);
}

// Field `name` as a whole number; 0 where it is absent, as a later version may add some.
template <class T>
bool Get(const boost::json::object& o, std::string_view name, T& out) {
  auto* value = o.if_contains(name);
  if (!value) return true;
  boost::system::error_code error;
  out = value->to_number<T>(error);
  return !error;
}

bool Decode(std::string_view text, Account& a) {
  boost::system::error_code error;
  auto value = boost::json::parse(text, error);
  if (error || !value.is_object()) return false;
  const auto& o = value.get_object();
  std::int64_t duration = 0, billed = 0, init = 0;
  bool good = Get(o, "invocations", a.invocations) && Get(o, "errors", a.errors) &&
              Get(o, "throttles", a.throttles) && Get(o, "timeouts", a.timeouts) &&
              Get(o, "cold_starts", a.cold_starts) && Get(o, "clones", a.clones) &&
              Get(o, "spares", a.spares) && Get(o, "duration_ns", duration) &&
              Get(o, "billed_ms", billed) && Get(o, "init_ns", init) &&
              Get(o, "memory_time", a.memory_time) && Get(o, "storage_time", a.storage_time) &&
              Get(o, "max_memory", a.max_memory.count) && Get(o, "memory", a.memory.count);
  a.duration = std::chrono::nanoseconds(duration);
  a.billed = std::chrono::milliseconds(billed);
  a.init = std::chrono::nanoseconds(init);
  return good;
}

std::int64_t UnixMs(WallTime time) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(time.time_since_epoch()).count();
}

}  // namespace

void DurationHistogram::Add(std::chrono::nanoseconds value) {
  double seconds = std::chrono::duration<double>(value).count();
  std::size_t i = 0;
  while (i < kBounds.size() && seconds > kBounds[i]) ++i;
  ++counts[i];
  sum += value;
}

Result<std::unique_ptr<Books>> Books::Open(KvStore& store, const Clock& clock) {
  std::unique_ptr<Books> books(new Books(store, clock.Wall()));
  TRY(books->Load());
  return books;
}

Result<void> Books::Load() {
  std::string bad;
  TRY(store_.Scan(kPrefix, [&](std::string_view key, std::string_view value) {
    if (key == kSinceKey) {
      boost::system::error_code error;
      auto ms = boost::json::parse(value, error).to_number<std::int64_t>(error);
      if (error) bad = key;
      since_ = WallTime(std::chrono::milliseconds(ms));
      since_written_ = true;
      return bad.empty();
    }
    if (!key.starts_with(kCountPrefix)) return true;
    auto name = key.substr(kCountPrefix.size());
    auto slash = name.find('/');
    Account account;
    if (slash == std::string_view::npos || !Decode(value, account)) {
      bad = key;
      return false;
    }
    account.function = name.substr(0, slash);
    account.version = name.substr(slash + 1);
    entries_[{account.function, account.version}] = account;
    return true;
  }));
  if (!bad.empty()) return Fail(Code::kInternal, "the books cannot be read: " + bad);
  return {};
}

Account& Books::For(const Version& version) {
  Account& account = entries_[{version.function, version.number}];
  account.function = version.function;
  account.version = version.number;
  account.memory = version.memory;
  return account;
}

void Books::Record(Account& account, const Version& version, const InvocationResult& result) {
  auto billed = static_cast<std::uint64_t>(result.billed.count());
  ++account.invocations;
  if (!result.function_error.empty()) ++account.errors;
  if (result.error_type == "Sandbox.Timedout") ++account.timeouts;
  account.duration += result.duration;
  account.durations.Add(result.duration);
  account.billed += result.billed;
  account.memory_time += version.memory.WholeMiB() * billed;
  account.storage_time += (version.tmp_size - kFreeStorage).WholeMiB() * billed;
  account.max_memory = std::max(account.max_memory, result.max_memory);
  if (result.init) {
    ++account.cold_starts;
    account.init += *result.init;
    if (result.start == StartKind::kClone) ++account.clones;
    if (result.start == StartKind::kSpare) ++account.spares;
    auto& inits = result.start == StartKind::kClone   ? account.clone_inits
                  : result.start == StartKind::kSpare ? account.spare_inits
                                                      : account.inits;
    inits.Add(*result.init);
  }
  dirty_.insert(&account);
}

void Books::RecordThrottle(Account& account) {
  ++account.throttles;
  dirty_.insert(&account);
}

std::vector<const Account*> Books::List(std::string_view function) const {
  std::vector<const Account*> list;
  for (const auto& [key, account] : entries_) {
    if (function.empty() || key.first == function) list.push_back(&account);
  }
  return list;
}

Task<Result<void>> Books::Flush(BlockingPool& pool) {
  WriteBatch batch;
  if (!since_written_) batch.Put(std::string(kSinceKey), std::to_string(UnixMs(since_)));
  auto written = std::exchange(dirty_, {});
  for (const Account* account : written) batch.Put(KeyOf(*account), Encode(*account));
  if (batch.Empty()) co_return Result<void>();
  auto done = co_await RunBlocking(
      pool, [this, batch = std::move(batch)]() mutable { return store_.Write(std::move(batch)); });
  if (done) {
    since_written_ = true;
  } else {
    dirty_.insert(written.begin(), written.end());  // the next flush tries again
  }
  co_return done;
}

}  // namespace samovar
