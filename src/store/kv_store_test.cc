#include "store/kv_store.h"

#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <set>
#include <thread>

#include "store/memory_store.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

class TempDir {
 public:
  TempDir() {
    std::string path = testing::TempDir() + "samovar-kv-XXXXXX";
    path_ = mkdtemp(path.data());
  }
  ~TempDir() { fs::remove_all(path_); }
  const std::string& Path() const { return path_; }

 private:
  std::string path_;
};

Result<void> Put(KvStore& store, std::string key, std::string value) {
  WriteBatch batch;
  batch.Put(std::move(key), std::move(value));
  return store.Write(std::move(batch));
}

std::vector<std::string> Keys(KvStore& store, std::string_view prefix) {
  std::vector<std::string> keys;
  EXPECT_TRUE(store.Scan(prefix, [&](std::string_view key, std::string_view) {
    keys.emplace_back(key);
    return true;
  }));
  return keys;
}

// The two stores must be told apart by durability only.
void ExpectOrderedAndWhole(KvStore& store) {
  EXPECT_EQ(*store.Get("a/1"), std::nullopt);
  WriteBatch batch;
  batch.Put("a/2", "two");
  batch.Put("a/1", "one");
  batch.Put("b/1", std::string("\0bytes\xff", 7));
  ASSERT_TRUE(store.Write(std::move(batch)));
  EXPECT_EQ(*store.Get("a/1"), "one");
  EXPECT_EQ(*store.Get("b/1"), std::string("\0bytes\xff", 7));
  EXPECT_EQ(Keys(store, "a/"), (std::vector<std::string>{"a/1", "a/2"}));
  EXPECT_EQ(Keys(store, "").size(), 3u);
  WriteBatch change;
  change.Delete("a/1");
  change.Delete("never there");
  change.Put("a/3", "three");
  ASSERT_TRUE(store.Write(std::move(change)));
  EXPECT_EQ(Keys(store, "a/"), (std::vector<std::string>{"a/2", "a/3"}));
}

TEST(RocksStore, KeepsOrderAndWritesWholeBatches) {
  const TempDir dir;
  auto store = OpenRocksStore(dir.Path() + "/deep/store");
  ASSERT_TRUE(store) << store.error().message;
  ExpectOrderedAndWhole(**store);
}

TEST(MemoryStoreTest, BehavesAsTheRealOne) {
  MemoryStore store;
  ExpectOrderedAndWhole(store);
}

TEST(MemoryStoreTest, FailsTheWriteThatItWasToldToAndKeepsNothingOfIt) {
  MemoryStore store;
  store.FailWrites(2);
  EXPECT_TRUE(Put(store, "a", "1"));
  const auto failed = Put(store, "b", "2");
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, Code::kUnavailable);
  EXPECT_EQ(*store.Get("b"), std::nullopt);
  EXPECT_TRUE(Put(store, "b", "3"));
}

TEST(RocksStore, IsThereAfterReopening) {
  const TempDir dir;
  {
    auto store = OpenRocksStore(dir.Path());
    ASSERT_TRUE(store);
    ASSERT_TRUE(Put(**store, "k", "v"));
  }
  auto store = OpenRocksStore(dir.Path());
  ASSERT_TRUE(store);
  EXPECT_EQ(*(*store)->Get("k"), "v");
}

TEST(RocksStore, TellsWhenAnotherHasItOpen) {
  const TempDir dir;
  auto first = OpenRocksStore(dir.Path());
  ASSERT_TRUE(first);
  auto second = OpenRocksStore(dir.Path());
  ASSERT_FALSE(second);
  EXPECT_EQ(second.error().code, Code::kConflict);
}

TEST(RocksStore, SaysUnavailableWhereItCannotBeMade) {
  auto store = OpenRocksStore("/proc/no-such-place/store");
  ASSERT_FALSE(store);
  EXPECT_EQ(store.error().code, Code::kUnavailable);
}

// No file may get larger than that, as on a disk that is full.
class FullDisk {
 public:
  explicit FullDisk(rlim_t most) {
    ::signal(SIGXFSZ, SIG_IGN);
    CHECK(::getrlimit(RLIMIT_FSIZE, &before_) == 0);
    const rlimit full{most, before_.rlim_max};
    CHECK(::setrlimit(RLIMIT_FSIZE, &full) == 0);
  }
  ~FullDisk() { CHECK(::setrlimit(RLIMIT_FSIZE, &before_) == 0); }

 private:
  rlimit before_{};
};

TEST(RocksStore, GoesOnByItselfOnceTheDiskHasRoomAgain) {
  const TempDir dir;
  auto store = OpenRocksStore(dir.Path());
  ASSERT_TRUE(store);
  const std::string value(4096, 'v');
  int kept = 0;
  {
    const FullDisk full(256 << 10);
    while (kept < 1000 && Put(**store, "k/" + std::to_string(kept), value)) ++kept;
    ASSERT_LT(kept, 1000);
    for (int i = 0; i < 20; ++i) {
      const auto refused = Put(**store, "refused", value);
      ASSERT_FALSE(refused);
      EXPECT_EQ(refused.error().code, Code::kUnavailable);
    }
    EXPECT_EQ(*(*store)->Get("k/0"), value);
  }
  const auto again = Put(**store, "k/" + std::to_string(kept), value);
  ASSERT_TRUE(again) << again.error().message;
  EXPECT_EQ(Keys(**store, "k/").size(), static_cast<std::size_t>(kept) + 1);
  *store = nullptr;
  store = OpenRocksStore(dir.Path());
  ASSERT_TRUE(store);
  EXPECT_EQ(Keys(**store, "k/").size(), static_cast<std::size_t>(kept) + 1);
}

// Writes numbered pairs from four threads and tells each acknowledged number through the pipe.
[[noreturn]] void WriteUntilKilled(const std::string& path, int round, int pipe) {
  auto store = OpenRocksStore(path);
  if (!store) _exit(1);
  std::vector<std::thread> writers;
  for (int writer = 0; writer < 4; ++writer) {
    writers.emplace_back([&, writer] {
      for (std::uint32_t n = 0;; ++n) {
        const auto id =
            static_cast<std::uint32_t>(round) << 24 | static_cast<std::uint32_t>(writer) << 20 | n;
        WriteBatch batch;
        batch.Put("x/" + std::to_string(id), "first");
        batch.Put("y/" + std::to_string(id), "second");
        if (!(*store)->Write(std::move(batch))) _exit(2);
        if (write(pipe, &id, sizeof id) != sizeof id) _exit(3);
      }
    });
  }
  for (auto& writer : writers) writer.join();
  _exit(4);
}

TEST(RocksStore, LosesNothingAcknowledgedWhenKilledAtAnyMoment) {
  const TempDir dir;
  std::set<std::uint32_t> acknowledged;
  for (int round = 0; round < 5; ++round) {
    int ends[2];
    ASSERT_EQ(pipe(ends), 0);
    const pid_t child = fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      close(ends[0]);
      WriteUntilKilled(dir.Path(), round, ends[1]);
    }
    close(ends[1]);
    std::uint32_t id = 0;
    for (int n = 0; n < 40 + 17 * round && read(ends[0], &id, sizeof id) == sizeof id; ++n) {
      acknowledged.insert(id);
    }
    kill(child, SIGKILL);
    // What was told before the end counts too.
    while (read(ends[0], &id, sizeof id) == sizeof id) acknowledged.insert(id);
    close(ends[0]);
    int status = 0;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFSIGNALED(status)) << "the writer ended by itself: " << WEXITSTATUS(status);

    auto store = OpenRocksStore(dir.Path());
    ASSERT_TRUE(store) << store.error().message;
    for (const auto each : acknowledged) {
      EXPECT_EQ(*(*store)->Get("x/" + std::to_string(each)), "first");
      EXPECT_EQ(*(*store)->Get("y/" + std::to_string(each)), "second");
    }
    // Whole or not at all: neither half stands alone.
    EXPECT_EQ(Keys(**store, "x/").size(), Keys(**store, "y/").size());
  }
  EXPECT_GE(acknowledged.size(), 200u);
}

}  // namespace
}  // namespace samovar
