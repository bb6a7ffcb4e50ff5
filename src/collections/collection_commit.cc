// Collection, its part that lets batches in: what could fail later fails before they are in the
// log.

#include <algorithm>

#include "collections/attributes.h"
#include "collections/collection.h"

namespace samovar {

// Batches that go to the log at once, and what they need together.
struct Collection::Group {
  std::vector<LogEntry> entries;
  std::uint64_t rows = 0;
  std::uint64_t heap = 0;
  // Attributes as they will be, of rows that the group touches; nullopt: gone. Only where it
  // updates.
  bool rehearsed = false;
  std::map<std::string, std::optional<std::string>, std::less<>> attributes;
  std::uint64_t patch_bytes = 0;
};

std::vector<Result<Ack>> Collection::Commit(const std::vector<std::string_view>& bodies,
                                            CommitTimes* times) {
  SteadyTime began = clock_.Now();
  auto ends = [&](CommitStage stage) {
    const SteadyTime now = clock_.Now();
    if (times) times->Add(stage, now - began);
    began = now;
  };
  std::unique_lock lock(write_mutex_);
  std::vector<Result<Ack>> acks;
  while (acks.size() < bodies.size()) {
    Group group;
    auto done = Gather(lock, std::span(bodies).subspan(acks.size()), group);
    ends(CommitStage::kPrepare);
    if (done) {
      done = log_->Append(group.entries);
      ends(CommitStage::kLog);
    }
    if (!done) {
      // Those that were tried together fail together.
      const std::size_t tried = std::max<std::size_t>(group.entries.size(), 1);
      for (std::size_t i = 0; i < tried; ++i) acks.push_back(std::unexpected(done.error()));
      continue;
    }
    for (const LogEntry& entry : group.entries) {
      acks.push_back(Apply(entry.generation, entry.body));
    }
    ends(CommitStage::kPublish);
  }
  return acks;
}

// As many as the open segment has room for, so that a log never begins within a segment. An error
// is about the first, and then the group is empty.
Result<void> Collection::Gather(std::unique_lock<std::mutex>& lock,
                                std::span<const std::string_view> bodies, Group& group) {
  for (const std::string_view body : bodies) {
    const bool first = group.entries.empty();
    auto need = NeedOf(body);
    Result<void> fits;
    if (!need) fits = std::unexpected(need.error());
    if (fits && first) fits = MakeRoom(lock, *need);
    const auto& open = *view_->segments.back();
    if (fits && !open.HasRoom(group.rows + need->rows, group.heap + need->heap)) break;
    if (fits) fits = Prepare(body, *need, group);
    if (!fits && first) return fits;
    if (!fits) break;  // it is the first of the next group, and refused there
    group.rows += need->rows;
    group.heap += need->heap;
    group.entries.push_back({generation_ + group.entries.size() + 1, body});
  }
  return {};
}

Result<Collection::Need> Collection::NeedOf(std::string_view body) const {
  Need need;
  TRY(ReadBatch(schema_, body, [&](const Change& change) -> Result<void> {
    if (change.kind == Change::Kind::kPut) {
      ++need.rows;
      need.heap += change.id.size() + change.text.size();
    }
    need.updates = need.updates || change.kind == Change::Kind::kUpdate;
    return {};
  }));
  return need;
}

Result<void> Collection::Prepare(std::string_view body, const Need& need, Group& group) {
  if (!need.updates && !group.rehearsed) return {};
  if (!group.rehearsed) {
    for (const LogEntry& entry : group.entries) TRY(Rehearse(entry.body, group));
    group.rehearsed = true;
  }
  TRY(Rehearse(body, group));
  return view_->patches->Reserve(disk_, group.patch_bytes);
}

// Finds what an update makes of its row's attributes: whether it fits, and how much room it takes.
Result<void> Collection::Rehearse(std::string_view body, Group& group) const {
  const Snapshot now(view_, generation_);
  return ReadBatch(schema_, body, [&](const Change& change) -> Result<void> {
    auto known = group.attributes.find(change.id);
    if (change.kind != Change::Kind::kUpdate) {
      std::optional<std::string> after;
      if (change.kind == Change::Kind::kPut) after.emplace(change.text);
      group.attributes.insert_or_assign(std::string(change.id), std::move(after));
      return {};
    }
    if (known == group.attributes.end()) {
      std::optional<std::string> before;
      if (const auto row = now.Find(change.id)) {
        TRY(const auto text, now.Attributes(*row));
        before.emplace(text);
      }
      known = group.attributes.emplace(change.id, std::move(before)).first;
    }
    if (!known->second) return {};
    TRY(known->second, MergeAttributes(*known->second, change.text));
    group.patch_bytes += Patches::SizeOf(known->second->size());
    return {};
  });
}

Result<void> Collection::MakeRoom(std::unique_lock<std::mutex>& lock, Need need) {
  if (failed_) return Fail(Code::kUnavailable, "a write could not be finished; restart the server");
  if (view_->segments.back()->HasRoom(need.rows, need.heap)) return {};
  // A flush that fails does not come back by itself: what it said is what the writers hear.
  const auto full = [this] { return OpenSegments() >= options_.most_open; };
  flushed_.wait(lock, [&] { return !full() || flush_error_ || stopping_; });
  if (full() && flush_error_) return std::unexpected(*flush_error_);
  if (stopping_) return Fail(Code::kUnavailable, "the collection is being closed");
  return AddOpenSegment(need);
}

}  // namespace samovar
