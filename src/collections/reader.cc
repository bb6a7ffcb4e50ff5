#include "collections/reader.h"

#include <cstring>
#include <thread>

#include "collections/manifest.h"

namespace samovar {
namespace {

// A manifest whose files are gone was replaced; that happens once in a merge, never for ever.
constexpr int kTries = 1000;

}  // namespace

Result<std::unique_ptr<CollectionReader>> CollectionReader::Open(std::string folder) {
  std::unique_ptr<CollectionReader> reader(new CollectionReader(std::move(folder)));
  TRY(reader->OpenControl());
  return reader;
}

Result<void> CollectionReader::OpenControl() {
  auto mapped = MappedFile::Open(folder_ + "/control", MappedFile::Access::kRead, layout::kPage);
  if (!mapped) {
    return Fail(mapped.error().code,
                "there is no such collection (" + mapped.error().message + ")");
  }
  const auto& control = *reinterpret_cast<const layout::Control*>(mapped->Data());
  if (std::memcmp(control.magic, layout::kControlMagic, 8) != 0 ||
      control.version != layout::kVersion) {
    return Fail(Code::kUnsupported, folder_ + " is in another format than 1");
  }
  const Schema schema{control.dimension, static_cast<Metric>(control.metric),
                      static_cast<Storage>(control.storage)};
  if (schema_.dimension != 0 && schema_ != schema) {
    return Fail(Code::kNotFound, "the collection was deleted, and another has its name");
  }
  control_ = std::make_shared<MappedFile>(std::move(*mapped));
  schema_ = schema;
  view_.reset();
  return {};
}

Result<ViewPtr> CollectionReader::Load(std::uint64_t number) {
  const std::string path = ManifestPath(folder_, number);
  TRY(const std::string bytes, ReadFile(path));
  TRY(const ManifestData manifest, DecodeManifest(bytes, path));
  auto view = std::make_shared<View>();
  view->schema = schema_;
  view->manifest = number;
  view->first_generation = manifest.first_generation;
  view->control = control_;
  // Files of patches are numbered through, so those that are mapped stay good.
  view->patches =
      view_ ? view_->patches : std::make_shared<Patches>(folder_, MappedFile::Access::kRead);
  for (const auto& [name, graph, cells] : manifest.segments) {
    SegmentPtr known;
    for (const auto& old : view_ ? view_->segments : std::vector<SegmentPtr>()) {
      if (old->Name().number == name.number && old->Name().live == name.live) known = old;
    }
    if (!known) {
      TRY(known, Segment::Open(folder_, name, schema_, MappedFile::Access::kRead));
    }
    if (cells) TRY(known->OpenCells(folder_, schema_, MappedFile::Access::kRead));
    if (graph) TRY(known->OpenGraph(folder_, MappedFile::Access::kRead));
    view->segments.push_back(std::move(known));
  }
  return view;
}

Result<Snapshot> CollectionReader::Latest() {
  std::lock_guard lock(mutex_);
  Error last{Code::kUnavailable, "the collection is being opened"};
  for (int i = 0; i < kTries; ++i) {
    const auto state = static_cast<layout::State>(Control().state.load(std::memory_order_acquire));
    if (state == layout::State::kDeleted) {
      // Another of the same name may be there by now.
      TRY(OpenControl());
      if (static_cast<layout::State>(Control().state.load()) == layout::State::kDeleted) {
        return Fail(Code::kNotFound, "the collection was deleted");
      }
      continue;
    }
    if (state == layout::State::kOpening) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
      continue;
    }
    // The generation first: the manifest that is then there is not too old for it.
    const std::uint64_t generation = Control().generation.load(std::memory_order_acquire);
    const std::uint64_t manifest = Control().manifest.load(std::memory_order_acquire);
    if (!view_ || view_->manifest != manifest) {
      auto loaded = Load(manifest);
      if (!loaded) {
        last = loaded.error();
        continue;
      }
      view_ = std::move(*loaded);
    }
    if (generation < view_->first_generation) continue;
    return Snapshot(view_, generation);
  }
  return std::unexpected(last);
}

Result<Snapshot> CollectionReader::AtLeast(std::uint64_t generation,
                                           std::chrono::milliseconds wait) {
  const auto until = std::chrono::steady_clock::now() + wait;
  while (true) {
    TRY(auto snapshot, Latest());
    if (snapshot.Generation() >= generation) return snapshot;
    if (std::chrono::steady_clock::now() >= until) {
      return Fail(Code::kTimeout, "generation " + std::to_string(generation) +
                                      " did not come in time; the newest is " +
                                      std::to_string(snapshot.Generation()));
    }
    std::this_thread::sleep_for(std::chrono::microseconds(200));
  }
}

}  // namespace samovar
