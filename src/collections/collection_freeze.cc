// Collection, its part that keeps a generation.

#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "collections/cells.h"
#include "collections/checkpoint.h"
#include "collections/collection.h"
#include "collections/graph.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

Result<void> Link(const std::string& from, const std::string& to) {
  if (::link(from.c_str(), to.c_str()) == 0) return {};
  return std::unexpected(ErrnoError("link " + from));
}

Result<void> MakeEmpty(const std::string& folder) {
  std::error_code error;
  fs::create_directories(folder, error);
  for (const auto& entry : fs::directory_iterator(folder, error)) fs::remove_all(entry, error);
  if (!error) fs::permissions(folder, fs::perms(0755), error);
  if (error) return Fail(Code::kUnavailable, "make " + folder + ": " + error.message());
  return {};
}

}  // namespace

Result<std::uint64_t> Collection::Freeze(const Places& where) {
  // No other flush replaces the checkpoint, or unlinks what it names, meanwhile.
  std::lock_guard flush(flush_mutex_);
  TRY(FlushAll());
  const std::string path = paths_.kept + "/checkpoint";
  TRY(const std::string bytes, ReadFile(path));
  TRY(const auto checkpoint, DecodeCheckpoint(bytes, path));
  TRY(const auto to, where(checkpoint.generation));
  if (!to) return checkpoint.generation;
  TRY(MakeEmpty(to->kept));
  TRY(MakeEmpty(to->live));
  for (const SegmentState& segment : checkpoint.segments) {
    TRY(Link(SegmentPath(paths_.live, segment.number), SegmentPath(to->live, segment.number)));
    // Where it has none yet, or it was just being made, the kept one makes its own.
    const bool graph = fs::exists(GraphPath(paths_.live, segment.number));
    if (graph)
      (void)Link(GraphPath(paths_.live, segment.number), GraphPath(to->live, segment.number));
    const bool cells = fs::exists(CellsPath(paths_.live, segment.number));
    if (cells)
      (void)Link(CellsPath(paths_.live, segment.number), CellsPath(to->live, segment.number));
  }
  for (const std::uint64_t number : checkpoint.files) {
    TRY(Link(AttributesPath(paths_.kept, number), AttributesPath(to->kept, number)));
  }
  TRY(disk_.SyncFolder(to->live));
  TRY(CollectionLog::Create(disk_, to->kept, checkpoint.generation + 1));
  TRY(disk_.Replace(to->kept + "/checkpoint", bytes));
  return checkpoint.generation;
}

}  // namespace samovar
