// What remains of a collection after its disk failed, its process was killed, or its readers were.

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <set>

#include "collections/cells.h"
#include "collections/checkpoint.h"
#include "collections/collection_model.h"
#include "collections/collections.h"
#include "collections/graph.h"
#include "collections/log.h"
#include "collections/manifest.h"
#include "collections/reader.h"
#include "collections/test_files.h"

namespace samovar {
namespace {

const Schema kSchema{4, Metric::kDot, Storage::kF32};

CollectionOptions SmallSegments() {
  CollectionOptions options;
  options.first_rows = 16;
  options.most_rows = 64;
  options.small_rows = 64;
  options.graph_rows = 50;
  options.inline_bytes = 40;
  return options;
}

CollectionsOptions Under(const TestFolder& folder) {
  return {.directory = folder.Path() + "/kept",
          .live = folder.Path() + "/live",
          .each = SmallSegments()};
}

// Files of a collection that nothing needs, right after a flush.
std::set<std::string> Strays(const CollectionPaths& paths, const Snapshot& now) {
  std::set<std::string> strays;
  for (const auto& folder : {paths.kept, paths.live}) {
    for (const auto& entry : std::filesystem::directory_iterator(folder)) {
      if (entry.path().filename().string().starts_with("patch-")) continue;
      strays.insert(entry.path().string());
    }
  }
  const std::string checkpoint = paths.kept + "/checkpoint";
  strays.erase(checkpoint);
  for (const std::uint64_t file :
       DecodeCheckpoint(ReadFile(checkpoint).value(), checkpoint).value().files) {
    strays.erase(AttributesPath(paths.kept, file));
  }
  strays.erase(LogFiles(paths.kept).value().back().path);
  strays.erase(paths.live + "/control");
  strays.erase(ManifestPath(paths.live, now.Parts().manifest));
  for (const auto& segment : now.Parts().segments) {
    strays.erase(SegmentPath(paths.live, segment->Name().number));
    strays.erase(LivePath(paths.live, segment->Name()));
    if (segment->RowCells()) strays.erase(CellsPath(paths.live, segment->Name().number));
    if (segment->NearGraph()) strays.erase(GraphPath(paths.live, segment->Name().number));
  }
  return strays;
}

// One run with the n-th write to the disk refused. False where there were not so many.
bool RunWithFailureAt(int n) {
  TestFolder folder;
  FailingDisk disk;
  FakeClock clock;
  const CollectionPaths paths{folder.Path() + "/kept", folder.Path() + "/live"};
  CHECK(Collection::Create(disk, paths).has_value());
  auto films = Collection::Open(disk, clock, paths, kSchema, 1, SmallSegments());
  CHECK(films.has_value());
  disk.FailAt(n);
  std::mt19937 random(5);
  Model kept;
  for (int i = 0; i < 30; ++i) {
    Model after = kept;
    const Batch batch = RandomBatch(random, kSchema, after, 60);
    const auto ack = CommitOne(**films, batch);
    if (ack) kept = after;
    EXPECT_EQ(Contents((*films)->Latest()), kept) << "failure " << n << ", batch " << i;
    if (i % 7 == 6) (void)(*films)->Flush();
    if (i % 7 == 5) (void)(*films)->Merge();
    if (i % 7 == 4) (void)(*films)->MakeGraph();
    if (!ack && !(*films)->Latest().Check()) break;
  }
  disk.Heal();
  EXPECT_TRUE((*films)->Flush()) << "after failure " << n;
  EXPECT_TRUE((*films)->ShowGraphs()) << "after failure " << n;
  EXPECT_THAT(Strays(paths, (*films)->Latest()), ::testing::IsEmpty()) << "after failure " << n;
  *films = nullptr;
  auto again = Collection::Open(disk, clock, paths, kSchema, 1, SmallSegments());
  EXPECT_TRUE(again) << "failure " << n << ": " << again.error().message;
  if (again) EXPECT_EQ(Contents((*again)->Latest()), kept) << "after failure " << n;
  return disk.Failed();
}

// In strands, so that they can run side by side: every kStrands-th write from GetParam() on.
constexpr int kStrands = 4;

class CollectionFaultsTest : public ::testing::TestWithParam<int> {};

TEST_P(CollectionFaultsTest, EachWriteThatFailsLosesNothingAcknowledgedAndAddsNothingRefused) {
  int n = 1 + GetParam();
  while (RunWithFailureAt(n) && !HasFailure()) n += kStrands;
  EXPECT_GT(n, 50);
}

INSTANTIATE_TEST_SUITE_P(Strands, CollectionFaultsTest, ::testing::Range(0, kStrands));

// Each write of an opening fails in turn; the next opening has all.
TEST(CollectionFaults, AnOpeningThatFailsLosesNothing) {
  TestFolder folder;
  FailingDisk disk;
  FakeClock clock;
  const CollectionPaths paths{folder.Path() + "/kept", folder.Path() + "/live"};
  ASSERT_TRUE(Collection::Create(disk, paths));
  auto films = Collection::Open(disk, clock, paths, kSchema, 1, SmallSegments());
  std::mt19937 random(6);
  Model model;
  for (int i = 0; i < 20; ++i) {
    ASSERT_TRUE(CommitOne(**films, RandomBatch(random, kSchema, model, 60)));
    if (i == 10) ASSERT_TRUE((*films)->Flush());
  }
  *films = nullptr;
  for (int n = 1;; ++n) {
    disk.FailAt(n);
    auto opened = Collection::Open(disk, clock, paths, kSchema, 1, SmallSegments());
    if (opened) {
      EXPECT_GT(n, 5);
      EXPECT_EQ(Contents((*opened)->Latest()), model);
      break;
    }
    disk.Heal();
    opened = Collection::Open(disk, clock, paths, kSchema, 1, SmallSegments());
    ASSERT_TRUE(opened) << "failure " << n << ": " << opened.error().message;
    EXPECT_EQ(Contents((*opened)->Latest()), model) << "failure " << n;
  }
}

// Batch b replaces all of these rows; row r of it has b in vector and attributes.
constexpr int kRows = 48;

Batch WholeBatch(int number) {
  Batch batch(kSchema);
  for (int row = 0; row < kRows; ++row) {
    // Every third time by an update of the attributes alone would leave the vector: so always both.
    const std::string id = "row-" + std::to_string(row);
    const auto value = static_cast<float>(number);
    CHECK(batch.Put(id, std::vector<float>(4, value), "{\"b\":0}").has_value());
    CHECK(batch.Update(id, "{\"b\":" + std::to_string(number) + "}").has_value());
  }
  return batch;
}

// The number that all rows of the snapshot carry; -1 where they differ, 0 where there are none yet;
// nullopt where it is too old: a writer that began meanwhile has put attributes elsewhere.
std::optional<int> NumberOf(const Snapshot& snapshot) {
  int number = 0;
  int rows = 0;
  for (auto row = snapshot.Next(std::nullopt); row; row = snapshot.Next(row), ++rows) {
    const auto vector = snapshot.Vector(*row);
    const auto attributes = snapshot.Attributes(*row);
    if (!attributes && attributes.error().code == Code::kConflict) return std::nullopt;
    const int its = static_cast<int>(vector[0]);
    if (rows == 0) number = its;
    const bool same = its == number && vector[3] == vector[0] && attributes &&
                      *attributes == "{\"b\":" + std::to_string(number) + "}";
    if (!same) return -1;
  }
  return rows == 0 || rows == kRows ? number : -1;
}

// Runs in a child: writes batch after batch, tells each acknowledged number, until it is killed.
[[noreturn]] void WriteForEver(const TestFolder& folder, int out) {
  SystemClock clock;
  Disk disk;
  auto all = Collections::Open(Under(folder), clock, disk);
  if (!all) ::_exit(3);
  auto films = (*all)->Find("films");
  if (!films) ::_exit(4);
  for (int number = NumberOf((*films)->Latest()).value() + 1;; ++number) {
    if (!(*all)->Write("films", WholeBatch(number))) ::_exit(5);
    if (::write(out, &number, sizeof(number)) != sizeof(number)) ::_exit(6);
  }
}

// Runs in a child: looks at snapshots until it is killed or sees half a batch.
[[noreturn]] void ReadForEver(const TestFolder& folder, int out) {
  int before = 0;
  auto reader = CollectionReader::Open(folder.Path() + "/live/films");
  if (!reader) ::_exit(3);
  while (true) {
    const auto snapshot = (*reader)->Latest();
    if (!snapshot) continue;  // the writer is just starting
    const auto number = NumberOf(*snapshot);
    const auto again = NumberOf(*snapshot);
    if (!number || !again || !snapshot->Check()) continue;
    if (*number < before || *again != *number) ::_exit(7);
    before = *number;
    if (::write(out, &before, sizeof(before)) != sizeof(before)) ::_exit(6);
  }
}

struct Child {
  pid_t pid = -1;
  Fd out;
};

template <class Work>
Child Start(Work work) {
  int ends[2];
  CHECK(::pipe2(ends, O_CLOEXEC) == 0);
  const pid_t pid = ::fork();
  CHECK(pid >= 0);
  if (pid == 0) {
    ::close(ends[0]);
    work(ends[1]);
  }
  ::close(ends[1]);
  return {pid, Fd(ends[0])};
}

// The next number that it tells; nullopt once it has ended.
std::optional<int> Next(const Child& child) {
  int number = 0;
  if (::read(child.out.Get(), &number, sizeof(number)) == sizeof(number)) return number;
  return std::nullopt;
}

// The last number that it told before it was killed.
int Kill(Child& child, int last) {
  ::kill(child.pid, SIGKILL);
  while (auto number = Next(child)) last = *number;
  int status = 0;
  CHECK(::waitpid(child.pid, &status, 0) == child.pid);
  EXPECT_TRUE(WIFSIGNALED(status)) << "a child ended by itself with " << WEXITSTATUS(status);
  return last;
}

TEST(CollectionCrash, ReadersNeverSeeHalfABatchWhileReadersAndWriterAreKilled) {
  TestFolder folder;
  {
    SystemClock clock;
    Disk disk;
    auto all = Collections::Open(Under(folder), clock, disk);
    ASSERT_TRUE(all);
    ASSERT_TRUE((*all)->Create("films", kSchema));
  }
  auto write = [&](int out) { WriteForEver(folder, out); };
  auto read = [&](int out) { ReadForEver(folder, out); };
  std::mt19937 random(9);
  std::vector<Child> readers;
  for (int i = 0; i < 3; ++i) readers.push_back(Start(read));
  int acknowledged = 0;
  for (int round = 0; round < 12; ++round) {
    Child writer = Start(write);
    for (unsigned i = 0, batches = 5 + random() % 120; i < batches; ++i) {
      const auto number = Next(writer);
      ASSERT_TRUE(number) << "the writer ended by itself";
      EXPECT_EQ(*number, i == 0 ? *number : acknowledged + 1);
      EXPECT_GT(*number, acknowledged);
      acknowledged = *number;
    }
    acknowledged = Kill(writer, acknowledged);
    Child& reader = readers[static_cast<std::size_t>(round) % readers.size()];
    ASSERT_TRUE(Next(reader)) << "a reader ended by itself";
    Kill(reader, 0);
    reader = Start(read);
  }
  for (Child& reader : readers) Kill(reader, 0);
  SystemClock clock;
  Disk disk;
  auto all = Collections::Open(Under(folder), clock, disk);
  ASSERT_TRUE(all);
  const int last = NumberOf((*all)->Find("films").value()->Latest()).value();
  EXPECT_GE(last, acknowledged);
  EXPECT_LE(last, acknowledged + 1);
}

}  // namespace
}  // namespace samovar
