#pragma once
// Collection: the writer's side of one collection: log, generations, segments.
//
// Why      What is acknowledged is on disk, and visible; readers in other processes see it in
//          place.
// How      A batch goes to the log (one sync for all that wait), then into the open segment at the
//          end, then its generation is stored in the control page. Flush() turns what was collected
//          into one sealed segment together with those that are not much larger, writes a
//          checkpoint and drops the log before it; what happened meanwhile is carried over. Graphs
//          for search are made beside all that and shown when they are done.
// Errors   kUnavailable when the disk refuses; a batch is then not made, or (Failed()) not before a
//          restart. kInternal from Open for what is damaged, with file and offset.
// Threads  Commit: one thread. Flush, ShowGraphs and Expire: one other. All else: any; of Merge and
//          MakeGraph one runs at a time.

#include <atomic>
#include <condition_variable>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "base/clock.h"
#include "collections/batch.h"
#include "collections/commit_times.h"
#include "collections/log.h"
#include "collections/snapshot.h"

namespace samovar {

struct CellCentres;
struct CheckpointData;
struct SegmentState;
inline constexpr std::uint64_t kHeapARow = 256;  // bytes of an open segment, for ids and attributes

struct CollectionOptions {
  std::uint64_t first_rows = 1024;  // of the first open segment; each next has twice as many, up to
  std::uint64_t most_rows = 4096;   // so many: they are compared one by one
  // Sealed segments up to so many rows are merged by flushes, larger ones by Merge.
  std::uint64_t small_rows = 32'768;
  int idle_turns = 5;  // of Merge without a write, until all is merged into one
  // A log larger than that asks for a flush, and so many new patches do.
  std::uint64_t log_bytes = 64 << 20;
  std::uint64_t patch_bytes = 128 << 20;
  std::uint64_t inline_bytes = 1 << 20;  // newer attributes in a checkpoint; more get a file
  std::size_t most_open = 16;            // segments that wait for a flush before writers wait too
  std::chrono::nanoseconds keep_views = std::chrono::minutes(15);
  std::uint64_t graph_rows = 10'000;  // a sealed segment with so many gets a graph
  unsigned graph_threads = std::max(1U, std::thread::hardware_concurrency());
};

struct CollectionPaths {
  std::string kept;  // meta, checkpoint, log: for the server alone
  std::string live;  // what readers map
};

// What a batch did. A batch is made whole also where it names rows that are not there.
struct Ack {
  std::uint64_t generation = 0;
  std::uint64_t put = 0;
  std::uint64_t deleted = 0;
  std::uint64_t updated = 0;
  std::vector<std::string> missing;  // ids that a delete or update did not find
};

struct CollectionStats {
  std::uint64_t generation = 0;
  std::uint64_t rows = 0;
  std::uint64_t segments = 0;
  std::uint64_t stored_rows = 0;  // with those that are gone and not yet swept
  std::uint64_t shared_bytes = 0;
  std::uint64_t log_bytes = 0;
  std::uint64_t flushes = 0;
  std::uint64_t graph_rows = 0;  // stored rows that a search walks to
  // Of the graphs: the most candidates of a search that names none, and what it finds at least of
  // the ten nearest of a sample; 0 and 1 where nothing is known.
  std::uint64_t candidates = 0;
  double sample_recall = 1;
};

// When idle: it leaves off, and begins nothing, while the collection is pressed.
enum class Work : bool { kNow, kWhenIdle };

class Collection {
 public:
  // Files of a new collection, all but what makes it one (Collections writes that).
  static Result<void> Create(Disk& disk, const CollectionPaths& paths);
  static Result<std::shared_ptr<Collection>> Open(Disk& disk, const Clock& clock,
                                                  CollectionPaths paths, const Schema& schema,
                                                  std::uint64_t hash_seed,
                                                  CollectionOptions options);
  ~Collection();

  const Schema& Of() const { return schema_; }
  Snapshot Latest() const;
  CollectionStats Stats() const;

  // One answer a batch, in order. `bodies` as Batch makes them.
  std::vector<Result<Ack>> Commit(const std::vector<std::string_view>& bodies,
                                  CommitTimes* times = nullptr);
  bool WantsFlush() const;
  // What was collected becomes a sealed segment; also where WantsFlush() is false.
  Result<void> Flush();
  // Whether the last flush could keep the memory of replaced attributes from piling up.
  Result<void> Moved() const;
  // Makes the files of a collection that is this one at its newest generation, and answers that.
  // It shares the sealed segments: nothing is copied but what is not sealed yet. `where` says into
  // which folders; nullopt: it is there already.
  using Places = std::function<Result<std::optional<CollectionPaths>>(std::uint64_t generation)>;
  Result<std::uint64_t> Freeze(const Places& where);
  // Makes one segment, with its graph, of large ones of which it is time, for the next flush to
  // adopt; false where there are none such.
  Result<bool> Merge(Work work = Work::kNow);
  // Makes the graph of a sealed segment that is large and has none; false where there is none such.
  Result<bool> MakeGraph(Work work = Work::kNow);
  void Press(bool pressed) { pressed_ = pressed; }
  bool Pressed() const { return pressed_; }
  std::size_t SealedSegments() const;
  bool HasGraphToShow() const;
  Result<void> ShowGraphs();
  // Takes their memory from views that were replaced long ago.
  void Expire();
  // Readers see that it is gone, and a flush ends early.
  void MarkDeleted();
  // Whoever waits for a flush, and one that runs, end with an error.
  void StopFlush();

 private:
  struct Touched {
    std::uint64_t segment;
    std::uint64_t row;
  };
  struct Retired {
    SteadyTime at;
    std::uint64_t manifest;  // views below it end
    std::vector<SegmentPtr> segments;
    std::uint64_t patches_below;
  };
  struct Job;
  struct Fresh;
  struct Need {
    std::uint64_t rows = 0;
    std::uint64_t heap = 0;
    bool updates = false;
  };
  struct Group;
  // Which patches files beside the checkpoint have: those below `end` of such segments.
  struct Covered {
    std::uint64_t end = 0;
    std::set<std::uint64_t> segments;
  };
  struct AttributesFile {
    std::uint64_t number = 0;
    std::uint64_t bytes = 0;
    Covered before;  // by the files before it
  };
  struct AttributesFiles {
    std::vector<AttributesFile> files;
    Covered covered;
  };

  Collection(Disk& disk, const Clock& clock, CollectionPaths paths, const Schema& schema,
             std::uint64_t hash_seed, CollectionOptions options);

  // Recovery.
  Result<void> Recover();
  Result<void> OpenControl();
  Result<std::vector<SegmentPtr>> OpenSealed();
  Result<SegmentPtr> OpenSealedOne(const SegmentState& state, const std::string& checkpoint);
  Result<void> Patch(const std::vector<SegmentPtr>& segments, const CheckpointData& checkpoint,
                     const std::string& path);
  Result<void> Replay();
  void Sweep() const;

  // Writing. REQUIRES: write_mutex_.
  Result<Need> NeedOf(std::string_view body) const;
  Result<void> Gather(std::unique_lock<std::mutex>& lock, std::span<const std::string_view> bodies,
                      Group& group);
  Result<void> Prepare(std::string_view body, const Need& need, Group& group);
  Result<void> Rehearse(std::string_view body, Group& group) const;
  Result<void> MakeRoom(std::unique_lock<std::mutex>& lock, Need need);
  Result<Ack> Apply(std::uint64_t generation, std::string_view body);
  Result<void> ApplyChange(std::uint64_t generation, const Change& change, Ack& ack);
  Result<void> ApplyUpdate(std::uint64_t generation, const Change& change, Ack& ack);
  void Touch(RowRef row);
  Result<void> AddOpenSegment(Need need);
  Result<void> RotateLog();
  Result<void> Publish(std::vector<SegmentPtr> segments);
  void Show(std::uint64_t generation);
  layout::Control& Control() { return *reinterpret_cast<layout::Control*>(control_->Data()); }
  std::size_t OpenSegments() const;

  // Flushing. REQUIRES: flush_mutex_.
  Result<void> FlushAll();
  Result<Job> Begin();
  Result<Job> BeginNow(const SegmentPtr& spare, CollectionLog& log);
  std::vector<std::uint32_t> ChooseSources(Job& job);
  Result<void> Build(Job& job);
  Result<void> WriteCheckpoint(const Job& job);
  Result<CheckpointData> Describe(const Job& job, const Covered& covered) const;
  Result<void> MoveToFile(const Job& job, CheckpointData& checkpoint, AttributesFiles& files) const;
  Result<void> Install(Job& job);
  void DropOld(const Job& job, std::uint64_t patches_below);
  std::uint64_t MovePatches();
  static Result<void> FindPatches(const View& view, std::map<std::uint64_t, std::uint64_t>& used,
                                  std::vector<RowRef>& rows);
  Result<void> MovePatchesOf(std::span<const RowRef> rows, const View& view, std::uint64_t below);
  void Abandon(const Job& job, const Error& error);

  // Fresh segments.
  void GatherFresh(Fresh& fresh, const std::vector<std::uint32_t>& sources) const;
  Result<void> WriteFresh(Fresh& fresh);
  CellCentres LearnCentres(const Fresh& fresh) const;
  void BorrowCentres(const Snapshot& at);
  void SortForFlush(Fresh& fresh);
  void SortByOwnCentres(Fresh& fresh) const;
  std::vector<std::uint32_t> SortByCell(Fresh& fresh, const CellCentres& centres) const;
  Result<void> Adopt(Fresh& fresh, std::uint64_t live);
  Result<void> CarryRow(const Fresh& fresh, std::size_t source, std::uint64_t row) const;
  Result<void> CarryOver(const Fresh& fresh) const;
  void Unlink(std::uint64_t number) const;
  std::set<std::uint64_t> Merging() const;
  std::vector<std::uint32_t> ChooseMerge(const Snapshot& at);
  std::vector<std::uint32_t> ReserveMerge(Fresh& fresh);
  Result<void> MergeNow(Fresh& fresh, const std::vector<std::uint32_t>& sources);
  static bool Unused(const SegmentPtr& segment);
  bool Shows(const Segment& segment) const;  // the newest view
  // What long work asks again and again: whether it is to end. Lets others run meanwhile (Turn).
  std::function<bool()> Stopped() const;
  std::function<bool()> Stopped(const Fresh& fresh) const;
  bool LeavesOff(Work work) const { return stopping_ || (work == Work::kWhenIdle && pressed_); }

  Disk& disk_;
  const Clock& clock_;
  const CollectionPaths paths_;
  const Schema schema_;
  const std::uint64_t hash_seed_;
  const CollectionOptions options_;
  std::shared_ptr<MappedFile> control_;

  mutable std::mutex view_mutex_;  // held for a copy
  ViewPtr view_;

  std::mutex flush_mutex_;  // taken before the others
  mutable std::mutex write_mutex_;
  std::condition_variable flushed_;
  std::optional<CollectionLog> log_;
  std::uint64_t generation_ = 0;
  std::uint64_t rows_ = 0;
  std::uint64_t next_number_ = 1;
  std::uint64_t next_rows_;
  std::uint64_t log_first_ = 0;   // generation that the log file begins with
  std::uint64_t log_room_ = 0;    // that the last one was made with
  std::uint64_t patch_file_ = 0;  // the last one when the last flush began
  bool recovering_ = true;        // nothing is shown yet
  bool failed_ = false;
  bool flushing_ = false;
  std::optional<Error> flush_error_;
  std::optional<Error> move_error_;  // of the last MovePatches
  std::vector<Touched> touched_;     // since the running flush began
  std::vector<Retired> retired_;
  std::vector<std::uint64_t> orphans_;  // segments of flushes that failed at their end
  AttributesFiles attributes_;
  std::vector<std::uint64_t> stray_attributes_;  // files that no checkpoint names any more
  std::uint64_t flushes_ = 0;
  std::unique_ptr<CellCentres> centres_;  // of what flushes make
  std::uint64_t learned_rows_ = 0;        // that they were found with
  std::uint32_t learned_enough_ = 0;      // what a search had to compare then
  std::uint64_t centres_of_ = 0;          // the merged segment that has them; 0: found by a flush
  std::uint64_t refused_ = 0;             // whose centres do not fit what is written
  double learned_fit_ = 0;  // how near to them rows were that they were not found from
  struct {
    std::uint64_t segment = 0;
    double fit = 0;
  } merged_fit_;                     // of the segment that a merge made last
  std::set<std::uint64_t> merging_;  // segments that a merge reads, until it is adopted
  std::unique_ptr<Fresh> merged_;    // done, to be adopted by the next flush
  std::uint64_t idle_generation_ = 0;
  int idle_turns_ = 0;
  std::mutex merge_mutex_;           // held while a merge or a graph is made
  std::vector<SegmentPtr> graphed_;  // their graphs are made and not yet shown
  std::atomic<bool> stopping_ = false;
  std::atomic<bool> pressed_ = false;
};

}  // namespace samovar
