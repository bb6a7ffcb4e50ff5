#include "instances/log_store.h"

#include <fstream>

#include "instances/log_file.h"
#include "instances/loop_test.h"

namespace samovar {
namespace {

constexpr WallTime kTime{std::chrono::seconds(1'800'000'000)};

std::vector<std::string> Messages(const std::vector<LogRecord>& lines) {
  std::vector<std::string> list;
  for (const auto& line : lines) list.push_back(line.message);
  return list;
}

using Strings = std::vector<std::string>;

class LogStoreTest : public LoopTest {
 protected:
  LogOptions Options() { return {.directory = Directory()}; }

  Task<Strings> Read(LogStore& store, LogQuery query = {}) {
    auto lines = co_await store.Read("f", query);
    EXPECT_TRUE(lines);
    co_return Messages(*lines);
  }
};

TEST_F(LogStoreTest, GivesBackWhatWasAppendedBeforeAndAfterAFlush) {
  Run([&]() -> Task<void> {
    LogStore store(Loop(), pool_, Options());
    auto writer = store.Open("f", "stream-1", "7");
    writer.Append(kTime, "one\ntwo\n");
    EXPECT_EQ(co_await Read(store), (Strings{"one", "two"}));
    writer.Append(kTime + std::chrono::seconds(1), "three");
    co_await store.Flush();
    auto lines = co_await store.Read("f", {});
    CHECK(lines.has_value() && lines->size() == 3);
    EXPECT_EQ((*lines)[2].message, "three");
    EXPECT_EQ((*lines)[2].stream, "stream-1");
    EXPECT_EQ((*lines)[2].version, "7");
    EXPECT_EQ((*lines)[2].time, kTime + std::chrono::seconds(1));
    EXPECT_EQ(co_await Read(store, {.limit = 1}), Strings{"three"});
    LogQuery query{.since = kTime + std::chrono::seconds(1)};
    EXPECT_EQ(co_await Read(store, query), Strings{"three"});
    auto none = co_await store.Read("unheard-of", {});
    CHECK(none.has_value());
    EXPECT_TRUE(none->empty());
    co_await store.Stop();
  });
}

TEST_F(LogStoreTest, IsReadBackByTheNextServer) {
  Run([&]() -> Task<void> {
    {
      LogStore store(Loop(), pool_, Options());
      store.Open("f", "s", "1").Append(kTime, "before");
      co_await store.Stop();
    }
    LogStore store(Loop(), pool_, Options());
    EXPECT_EQ(co_await Read(store), Strings{"before"});
  });
}

TEST_F(LogStoreTest, ForgetsNamesThatNobodyWritesReadsOrFollows) {
  Run([&]() -> Task<void> {
    LogStore store(Loop(), pool_, Options());
    auto writer = store.Open("written", "s", "1");
    auto follower = store.Follow("followed", {});
    for (int i = 0; i < 100; ++i) (void)co_await store.Read("unheard-of-" + std::to_string(i), {});
    co_await store.Flush();
    EXPECT_EQ(store.Known(), 2u);
    writer.Append(kTime, "still there");
    EXPECT_EQ((co_await store.Read("written", {}))->size(), 1u);
    follower.reset();
    co_await store.Flush();
    EXPECT_EQ(store.Known(), 1u);
    co_await store.Stop();
  });
}

TEST_F(LogStoreTest, KeepsWithinItsBoundOnDisk) {
  Run([&]() -> Task<void> {
    auto options = Options();
    options.max_size_per_function = Bytes::KiB(64);
    LogStore store(Loop(), pool_, options);
    auto writer = store.Open("f", "s", "1");
    for (int i = 0; i < 300; ++i) {
      writer.Append(kTime, std::to_string(i) + " " + std::string(1000, 'x'));
      co_await store.Flush();
    }
    std::uintmax_t size = 0;
    for (const auto& file : std::filesystem::directory_iterator(Directory() + "/f")) {
      size += file.file_size();
    }
    EXPECT_LE(size, 64u << 10);
    EXPECT_GT(size, 32u << 10);
    auto lines = co_await Read(store);
    CHECK(!lines.empty());
    EXPECT_TRUE(lines.back().starts_with("299 "));
    EXPECT_GT(lines.size(), 31u);  // both files are read
  });
}

TEST_F(LogStoreTest, DropsWhatTheDiskDoesNotTakeInTimeAndSaysSo) {
  Run([&]() -> Task<void> {
    auto options = Options();
    options.max_buffer = Bytes::KiB(10);
    LogStore store(Loop(), pool_, options);
    auto writer = store.Open("f", "s", "1");
    for (int i = 0; i < 100; ++i) writer.Append(kTime, std::string(1000, 'x'));
    auto lines = co_await Read(store);
    EXPECT_EQ(lines.size(), 11u);  // ten lines, and one that counts the others
    EXPECT_EQ(lines.back(), "[90 lines were dropped]");
  });
}

TEST_F(LogStoreTest, CutsEndlessLinesAndMendsWhatIsNoText) {
  Run([&]() -> Task<void> {
    auto options = Options();
    options.max_line = Bytes{10};
    LogStore store(Loop(), pool_, options);
    auto writer = store.Open("f", "s", "1");
    writer.Append(kTime, std::string(25, 'a') + "\nb\n\n");
    writer.Append(kTime, "tab\tin\n");
    writer.Append(kTime, "\xff\xc3\xa9\xed\xa0\x80\n");
    Strings want{std::string(10, 'a'),
                 std::string(10, 'a'),
                 std::string(5, 'a'),
                 "b",
                 "",
                 "tab\tin",
                 "\xef\xbf\xbd\xc3\xa9\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"};
    EXPECT_EQ(co_await Read(store), want);
  });
}

TEST_F(LogStoreTest, GoesOnAfterALineThatACrashCutOff) {
  Run([&]() -> Task<void> {
    std::filesystem::create_directories(Directory() + "/f");
    std::ofstream(Directory() + "/f/current.log") << "1800000000000\ts\t1\twhole\n18000000";
    LogStore store(Loop(), pool_, Options());
    store.Open("f", "s", "1").Append(kTime, "next");
    EXPECT_EQ(co_await Read(store), (Strings{"whole", "next"}));
  });
}

TEST_F(LogStoreTest, FollowsWithoutAGapOrARepeat) {
  Run([&]() -> Task<void> {
    LogStore store(Loop(), pool_, Options());
    auto writer = store.Open("f", "s", "1");
    writer.Append(kTime, "one");
    auto follower = store.Follow("f", {});
    auto first = Beside(follower->Next(Deadline::Never()));
    // While the history is read, the function goes on.
    co_await Turns(1);
    writer.Append(kTime, "two");
    EXPECT_TRUE(co_await Until([&] { return first->has_value(); }));
    Strings seen = Messages(***first);
    while (seen.size() < 2) {
      auto more = co_await follower->Next(Deadline::Never());
      for (auto& message : Messages(*more)) seen.push_back(message);
    }
    EXPECT_EQ(seen, (Strings{"one", "two"}));
    auto next = Beside(follower->Next(Deadline::Never()));
    co_await Turns(5);
    EXPECT_FALSE(next->has_value());
    writer.Append(kTime, "three\nfour");
    EXPECT_TRUE(co_await Until([&] { return next->has_value(); }));
    EXPECT_EQ(Messages(***next).front(), "three");
    auto last = Beside(follower->Next(Deadline::Never()));
    co_await Turns(5);
    co_await store.Stop();
    EXPECT_TRUE(co_await Until([&] { return last->has_value(); }));
    EXPECT_TRUE(follower->Ended());
  });
}

TEST_F(LogStoreTest, DropsWhatASlowFollowerDoesNotTakeAndSaysSo) {
  Run([&]() -> Task<void> {
    LogStore store(Loop(), pool_, Options());
    auto writer = store.Open("f", "s", "1");
    writer.Append(kTime, "begin");
    auto follower = store.Follow("f", {});
    (void)co_await follower->Next(Deadline::Never());
    for (int i = 0; i < 10'005; ++i) writer.Append(kTime, "x");
    auto lines = co_await follower->Next(Deadline::Never());
    CHECK(lines.has_value());
    EXPECT_EQ(lines->size(), 10'001u);
    EXPECT_EQ(lines->front().message, "[5 lines were not taken in time]");
    co_await store.Stop();
  });
}

TEST(LogLines, AreRefusedWhenTheyHaveNotTheForm) {
  for (std::string_view line : {"", "x", "12", "12\t", "12\ta", "12\ta\tb", "x\ta\tb\tc"}) {
    EXPECT_FALSE(ParseLogLine(line)) << line;
  }
  EXPECT_TRUE(ParseLogLine("12\ta\tb\t"));
}

TEST(LogLines, AreMadeValidUtf8) {
  struct Case {
    std::string_view in;
    std::string_view want;
  };
  for (const Case& c : {
           Case{"plain", "plain"},
           Case{"\xf0\x9f\x98\x80", "\xf0\x9f\x98\x80"},
           Case{"\xf0\x9f\x98", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
           Case{"\xc0\xaf", "\xef\xbf\xbd\xef\xbf\xbd"},
           Case{"\xf4\x90\x80\x80", "\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbd"},
           Case{"a\x80z", "a\xef\xbf\xbdz"},
       }) {
    EXPECT_EQ(ValidUtf8(c.in), c.want);
  }
}

}  // namespace
}  // namespace samovar
