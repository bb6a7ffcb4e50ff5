#include "instances/books.h"

#include <gmock/gmock.h>

#include "instances/loop_test.h"
#include "store/memory_store.h"

namespace samovar {
namespace {

using std::chrono::milliseconds;
using testing::HasSubstr;

Version MakeVersion(std::string function, std::string number = "$LATEST") {
  Version version;
  version.function = std::move(function);
  version.number = std::move(number);
  version.memory = Bytes::MiB(1024);
  version.tmp_size = Bytes::MiB(1536);
  return version;
}

InvocationResult Call(milliseconds duration, std::string_view error_type = "") {
  InvocationResult result;
  result.duration = duration;
  result.billed = duration;
  result.error_type = error_type;
  if (!error_type.empty()) result.function_error = "Unhandled";
  result.max_memory = Bytes::MiB(30);
  return result;
}

class BooksTest : public LoopTest {
 protected:
  std::unique_ptr<Books> Open() {
    auto books = Books::Open(store_, clock_);
    EXPECT_TRUE(books) << books.error().message;
    return books ? std::move(*books) : nullptr;
  }
  MemoryStore store_;
};

TEST_F(BooksTest, CountsWhatAVersionDidAndUsed) {
  auto books = Open();
  Version version = MakeVersion("f");
  Account& account = books->For(version);
  InvocationResult cold = Call(milliseconds(500));
  cold.init = milliseconds(100);
  books->Record(account, version, cold);
  books->Record(account, version, Call(milliseconds(250), "ValueError"));
  books->Record(account, version, Call(milliseconds(250), "Sandbox.Timedout"));
  books->RecordThrottle(account);
  EXPECT_EQ(account.invocations, 3u);
  EXPECT_EQ(account.errors, 2u);
  EXPECT_EQ(account.timeouts, 1u);
  EXPECT_EQ(account.throttles, 1u);
  EXPECT_EQ(account.cold_starts, 1u);
  EXPECT_EQ(account.init, milliseconds(100));
  EXPECT_EQ(account.billed, milliseconds(1000));
  EXPECT_DOUBLE_EQ(account.GbSeconds(), 1.0);
  EXPECT_DOUBLE_EQ(account.StorageGbSeconds(), 1.0);
  EXPECT_EQ(account.max_memory, Bytes::MiB(30));
}

TEST_F(BooksTest, AreThereAgainAfterARestart) {
  Run([&]() -> Task<void> {
    auto books = Open();
    auto since = books->Since();
    Version version = MakeVersion("f", "3");
    books->Record(books->For(version), version, Call(milliseconds(5)));
    EXPECT_TRUE(co_await books->Flush(pool_));
    clock_.Advance(std::chrono::hours(5));
    auto again = Open();
    auto list = again->List("f");
    CHECK(list.size() == 1);
    EXPECT_EQ(list[0]->function, "f");
    EXPECT_EQ(list[0]->version, "3");
    EXPECT_EQ(list[0]->invocations, 1u);
    EXPECT_EQ(list[0]->duration, milliseconds(5));
    EXPECT_EQ(list[0]->memory, Bytes::MiB(1024));
    EXPECT_EQ(std::chrono::floor<milliseconds>(again->Since()),
              std::chrono::floor<milliseconds>(since));
    EXPECT_TRUE(again->List("g").empty());
  });
}

TEST_F(BooksTest, WriteAgainWhatTheDiskRefused) {
  Run([&]() -> Task<void> {
    auto books = Open();
    Version version = MakeVersion("f");
    books->Record(books->For(version), version, Call(milliseconds(5)));
    store_.FailWrites(1);
    EXPECT_FALSE(co_await books->Flush(pool_));
    EXPECT_TRUE(co_await books->Flush(pool_));
    EXPECT_EQ(Open()->List().size(), 1u);
    int writes = store_.Writes();
    EXPECT_TRUE(co_await books->Flush(pool_));  // nothing changed: nothing written
    EXPECT_EQ(store_.Writes(), writes);
  });
}

TEST_F(BooksTest, RefuseCountsThatCannotBeRead) {
  for (std::string_view value : {"", "[]", "{\"invocations\": \"many\"}"}) {
    WriteBatch batch;
    batch.Put("books/version/f/1", std::string(value));
    ASSERT_TRUE(store_.Write(batch));
    auto books = Books::Open(store_, clock_);
    ASSERT_FALSE(books) << value;
    EXPECT_THAT(books.error().message, HasSubstr("books/version/f/1"));
  }
}

TEST_F(BooksTest, SpeakPrometheus) {
  auto books = Open();
  Version version = MakeVersion("f");
  Account& account = books->For(version);
  books->Record(account, version, Call(milliseconds(30)));
  books->Record(account, version, Call(milliseconds(30), "Sandbox.Timedout"));
  std::string text = books->MetricsText();
  for (std::string_view line : {
           "# TYPE samovar_invocations_total counter\n",
           "samovar_invocations_total{function=\"f\",version=\"$LATEST\",outcome=\"success\"} 1\n",
           "samovar_invocations_total{function=\"f\",version=\"$LATEST\",outcome=\"timeout\"} 1\n",
           "samovar_invocations_total{function=\"f\",version=\"$LATEST\",outcome=\"error\"} 0\n",
           "samovar_invoke_duration_seconds_bucket{function=\"f\",version=\"$LATEST\",le=\"0.025\"}"
           " 0\n",
           "samovar_invoke_duration_seconds_bucket{function=\"f\",version=\"$LATEST\",le=\"0.05\"} "
           "2\n",
           "samovar_invoke_duration_seconds_bucket{function=\"f\",version=\"$LATEST\",le=\"+Inf\"} "
           "2\n",
           "samovar_invoke_duration_seconds_sum{function=\"f\",version=\"$LATEST\"} 0.06\n",
           "samovar_cold_starts_total{function=\"f\",version=\"$LATEST\",kind=\"fresh\"} 0\n",
           "samovar_init_duration_seconds_count{kind=\"fresh\"} 0\n",
           "samovar_init_duration_seconds_count{kind=\"spare\"} 0\n",
       }) {
    EXPECT_THAT(text, HasSubstr(line));
  }
  std::string escaped;
  AppendMetric(escaped, "m", {{"a", "x\"\\\ny"}}, 1.5);
  EXPECT_EQ(escaped, "m{a=\"x\\\"\\\\\\ny\"} 1.5\n");
}

}  // namespace
}  // namespace samovar
