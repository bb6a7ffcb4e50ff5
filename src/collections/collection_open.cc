// Collection, its part that makes and opens the files.

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <filesystem>
#include <set>

#include "collections/checkpoint.h"
#include "collections/collection.h"
#include "collections/manifest.h"
#include "collections/segment_build.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

constexpr std::string_view kCheckpoint = "/checkpoint";

// "segment-12" and "segment": 12; "live-12-3" and "live": 12. Else 0.
std::uint64_t NumberIn(const std::string& name, std::string_view kind) {
  if (!name.starts_with(std::string(kind) + "-")) return 0;
  std::uint64_t number = 0;
  std::from_chars(name.data() + kind.size() + 1, name.data() + name.size(), number);
  return number;
}

// The largest number that a file of that kind has in the folder.
std::uint64_t LargestNumber(const std::string& folder, std::string_view kind) {
  std::uint64_t largest = 0;
  std::error_code error;
  for (const auto& entry : fs::directory_iterator(folder, error)) {
    largest = std::max(largest, NumberIn(entry.path().filename().string(), kind));
  }
  return largest;
}

}  // namespace

Result<void> Collection::Create(Disk& disk, const CollectionPaths& paths) {
  for (const auto& folder : {paths.kept, paths.live}) {
    std::error_code error;
    fs::create_directories(folder, error);
    if (error) return Fail(Code::kUnavailable, "make " + folder + ": " + error.message());
  }
  // Whoever may not read it does not have it mounted.
  if (::chmod(paths.live.c_str(), 0755) != 0) return std::unexpected(ErrnoError(paths.live));
  TRY(disk.Replace(paths.kept + std::string(kCheckpoint), EncodeCheckpoint({})));
  TRY(CollectionLog::Create(disk, paths.kept, 1));
  return {};
}

Result<std::shared_ptr<Collection>> Collection::Open(Disk& disk, const Clock& clock,
                                                     CollectionPaths paths, const Schema& schema,
                                                     std::uint64_t hash_seed,
                                                     CollectionOptions options) {
  std::shared_ptr<Collection> collection(
      new Collection(disk, clock, std::move(paths), schema, hash_seed, options));
  TRY(collection->Recover());
  return collection;
}

Result<void> Collection::OpenControl() {
  const std::string path = paths_.live + "/control";
  // The same page through every restart, so that who reads goes on reading.
  Fd file(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!file) return std::unexpected(ErrnoError("open " + path));
  if (::fchmod(file.Get(), 0644) != 0) return std::unexpected(ErrnoError("open up " + path));
  TRY(disk_.Reserve(file.Get(), layout::kPage, path));
  TRY(auto mapped, MappedFile::Open(path, MappedFile::Access::kWrite, layout::kPage));
  control_ = std::make_shared<MappedFile>(std::move(mapped));
  auto& control = Control();
  control.state.store(static_cast<std::uint64_t>(layout::State::kOpening));
  std::memcpy(control.magic, layout::kControlMagic, 8);
  control.version = layout::kVersion;
  control.dimension = schema_.dimension;
  control.metric = static_cast<std::uint8_t>(schema_.metric);
  control.storage = static_cast<std::uint8_t>(schema_.storage);
  return {};
}

Result<std::vector<SegmentPtr>> Collection::OpenSealed() {
  const std::string path = paths_.kept + std::string(kCheckpoint);
  TRY(const std::string bytes, ReadFile(path));
  TRY(const auto checkpoint, DecodeCheckpoint(bytes, path));
  generation_ = checkpoint.generation;
  next_number_ = std::max(checkpoint.next_number, LargestNumber(paths_.live, "segment") + 1);
  std::vector<SegmentPtr> segments;
  Covered covered;
  for (const SegmentState& state : checkpoint.segments) {
    TRY(segments.emplace_back(), OpenSealedOne(state, path));
    covered.segments.insert(state.number);
  }
  for (const std::uint64_t number : checkpoint.files) {
    const std::string its = AttributesPath(paths_.kept, number);
    TRY(const std::string text, ReadFile(its));
    TRY(const auto attributes, DecodeCheckpoint(text, its));
    attributes_.files.push_back({number, text.size(), covered});
    TRY(Patch(segments, attributes, its));
    covered.end = view_->patches->End();
  }
  if (!attributes_.files.empty()) attributes_.covered = std::move(covered);
  TRY(Patch(segments, checkpoint, path));
  return segments;
}

Result<SegmentPtr> Collection::OpenSealedOne(const SegmentState& state,
                                             const std::string& checkpoint) {
  const SegmentName name{state.number, view_->manifest + 1};
  TRY(auto file, MappedFile::Open(SegmentPath(paths_.live, state.number), MappedFile::Access::kRead,
                                  layout::kPage));
  // Open() finds a header that is damaged; until then this is a number that may be anything.
  const std::uint64_t rows =
      std::min<std::uint64_t>(reinterpret_cast<const layout::SegmentHeader*>(file.Data())->rows,
                              file.Size() / sizeof(layout::Row));
  TRY(MakeLiveFile(disk_, paths_.live, name, rows));
  TRY(auto segment, Segment::Open(paths_.live, name, schema_, MappedFile::Access::kWrite));
  TRY(segment->Verify());
  // Cells and graphs can be made again from the rows; what is damaged is left to that.
  auto graph = segment->OpenGraph(paths_.live, MappedFile::Access::kWrite);
  if (graph) graph = segment->NearGraph()->Verify();
  auto cells = segment->OpenCells(paths_.live, schema_, MappedFile::Access::kWrite);
  if (cells) cells = segment->RowCells()->Verify();
  if (!graph) ::unlink(GraphPath(paths_.live, state.number).c_str());
  if (!cells) ::unlink(CellsPath(paths_.live, state.number).c_str());
  if (!graph || !cells) {
    TRY(segment, Segment::Open(paths_.live, name, schema_, MappedFile::Access::kWrite));
    if (graph) TRY(segment->OpenGraph(paths_.live, MappedFile::Access::kWrite));
    if (cells) TRY(segment->OpenCells(paths_.live, schema_, MappedFile::Access::kWrite));
  }
  for (const std::uint64_t row : state.dead) {
    if (row >= segment->Capacity()) return Fail(Code::kInternal, checkpoint + " is damaged");
    segment->Kill(row, generation_);
  }
  return segment;
}

// The attributes that the checkpoint, or a file that it names, has of rows that are there.
Result<void> Collection::Patch(const std::vector<SegmentPtr>& segments,
                               const CheckpointData& checkpoint, const std::string& path) {
  for (const SegmentState& state : checkpoint.segments) {
    const auto found = std::ranges::find(
        segments, state.number, [](const auto& segment) { return segment->Name().number; });
    if (found == segments.end()) continue;  // its rows went into another
    for (const auto& [row, attributes] : state.patched) {
      if (row >= (*found)->Capacity()) return Fail(Code::kInternal, path + " is damaged");
      if ((*found)->Live(row).dead.load(std::memory_order_relaxed) != 0) continue;
      TRY(const auto patch, view_->patches->Append(disk_, generation_, 0, attributes));
      (*found)->Patch(row, patch);
    }
  }
  return {};
}

Result<void> Collection::Replay() {
  TRY(NameStartedLog(disk_, paths_.kept));
  TRY(const auto files, LogFiles(paths_.kept));
  std::uint64_t expected = generation_ + 1;
  for (std::size_t i = 0; i < files.size(); ++i) {
    const bool last = i + 1 == files.size();
    // What a checkpoint made superfluous and a crash kept.
    if (!last && files[i + 1].first <= expected) continue;
    TRY(const std::string bytes, ReadFile(files[i].path));
    TRY(const std::uint64_t size,
        ReadLogBytes(bytes, files[i].path, last, expected,
                     [&](std::uint64_t generation, std::string_view body) -> Result<void> {
                       TRY(const Need need, NeedOf(body));
                       if (!view_->segments.back()->HasRoom(need.rows, need.heap)) {
                         TRY(AddOpenSegment(need));
                       }
                       TRY(Apply(generation, body));
                       return {};
                     }));
    if (last && size < bytes.size()) {
      TRY(CollectionLog::Reopen(disk_, files[i].path, size));
    }
  }
  return {};
}

// Files of earlier runs that nothing names any more.
void Collection::Sweep() const {
  std::set<std::string> named{paths_.live + "/control", ManifestPath(paths_.live, view_->manifest)};
  for (const auto& segment : view_->segments) {
    named.insert(SegmentPath(paths_.live, segment->Name().number));
    named.insert(LivePath(paths_.live, segment->Name()));
    if (segment->NearGraph()) named.insert(GraphPath(paths_.live, segment->Name().number));
    if (segment->RowCells()) named.insert(CellsPath(paths_.live, segment->Name().number));
  }
  std::error_code error;
  for (const AttributesFile& file : attributes_.files) {
    named.insert(AttributesPath(paths_.kept, file.number));
  }
  for (const auto& entry : fs::directory_iterator(paths_.kept, error)) {
    const bool attributes = NumberIn(entry.path().filename().string(), "attributes") != 0;
    if (attributes && !named.contains(entry.path().string())) ::unlink(entry.path().c_str());
  }
  for (const auto& entry : fs::directory_iterator(paths_.live, error)) {
    const std::string name = entry.path().filename().string();
    const bool patches = NumberIn(name, "patch") >= view_->patches->First();
    if (!named.contains(entry.path().string()) && !patches) ::unlink(entry.path().c_str());
  }
}

Result<void> Collection::Recover() {
  TRY(OpenControl());
  auto view = std::make_shared<View>();
  view->schema = schema_;
  view->control = control_;
  view->manifest = std::max(Control().manifest.load(), LargestNumber(paths_.live, "manifest"));
  view->patches = std::make_shared<Patches>(paths_.live, MappedFile::Access::kWrite);
  view->patches->StartAt(LargestNumber(paths_.live, "patch") + 1);
  view_ = view;
  TRY(view->segments, OpenSealed());
  TRY(AddOpenSegment({}));
  rows_ = Snapshot(view_, generation_).Count();
  TRY(Replay());
  // A file of its own for what comes, so that it begins where a segment does.
  if (view_->segments.back()->Used() > 0) TRY(AddOpenSegment({}));
  TRY(RotateLog());
  patch_file_ = view_->patches->Number();
  recovering_ = false;
  TRY(Publish(view_->segments));
  Sweep();
  Show(generation_);
  Control().state.store(static_cast<std::uint64_t>(layout::State::kOpen),
                        std::memory_order_release);
  return {};
}

}  // namespace samovar
