// Collections, its part that runs flushes, merges and graphs, each in a thread of its own.

#include "base/log.h"
#include "collections/collections.h"
#include "os/priority.h"

namespace samovar {
namespace {

constexpr std::chrono::milliseconds kTurn{50};  // of the tidying thread
// Until a flush that failed is tried again, for which writers may wait; and a graph, for which
// nobody does.
constexpr std::chrono::seconds kAfterFailure{1};
constexpr std::chrono::seconds kMostAfterFlush{8};
constexpr std::chrono::seconds kMostAfterGraph{60};

// What a thread knows of each collection that it works on.
template <class Known>
class Each {
 public:
  explicit Each(Known fresh) : fresh_(std::move(fresh)) {}
  Known& Of(const std::shared_ptr<Collection>& collection) {
    return all_.try_emplace(collection, fresh_).first->second;
  }
  void DropThoseOfNone() {
    std::erase_if(all_, [](const auto& each) { return each.first.expired(); });
  }

 private:
  const Known fresh_;
  std::map<std::weak_ptr<Collection>, Known, std::owner_less<>> all_;
};

}  // namespace

void Collections::Tidy() {
  RunInTurns();
  const Backoff retry(kAfterFailure, kMostAfterFlush);
  Each<Tidied> tidied(Tidied{retry, retry, std::nullopt, {}});
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto all = All();
    lock.unlock();
    for (const auto& [name, weak] : all) {
      const auto collection = weak.lock();
      if (!collection) continue;
      collection->Expire();
      Tidied& known = tidied.Of(collection);
      if (known.flush.Due(clock_.Now())) TidyOne(name, *collection, known);
      PressWhereLate(*collection, known);
    }
    all.clear();
    tidied.DropThoseOfNone();
    RetryOpening();
    lock.lock();
    if (!stopping_) tidy_.wait_for(lock, kTurn);
  }
}

void Collections::TidyOne(const std::string& name, Collection& collection, Tidied& known) {
  Result<void> done;
  const bool wanted = collection.WantsFlush();
  if (wanted) {
    done = collection.Flush();
    flushed_.notify_one();
  }
  if (done && collection.HasGraphToShow()) done = collection.ShowGraphs();
  if (!done) {
    if (!known.flush.Failed(clock_.Now())) return;
    LogWarn("collection {}: what was written stays in the log for now: {}", name,
            done.error().message);
    return;
  }
  if (!wanted) return;
  if (known.flush.Succeeded()) {
    LogInfo("collection {}: what was written is out of the log again", name);
  }
  if (const auto moved = collection.Moved(); !moved) {
    if (!known.moving.Failed(clock_.Now())) return;
    LogWarn("collection {}: attributes that were replaced keep their memory for now: {}", name,
            moved.error().message);
  } else if (known.moving.Succeeded()) {
    LogInfo("collection {}: attributes that were replaced give their memory back again", name);
  }
}

// Each of the segments is searched by itself, so that a search costs the more the more wait.
void Collections::PressWhereLate(Collection& collection, Tidied& known) {
  if (collection.SealedSegments() < options_.most_sealed) {
    collection.Press(false);
    known.waits_since.reset();
    return;
  }
  const SteadyTime now = clock_.Now();
  const auto waited = now - known.waits_since.value_or(now);
  if (known.waits_since && (collection.Pressed() || waited < options_.patience)) return;
  const auto ran = ProcessorTime(grapher_);
  const std::chrono::duration<double> share = waited * options_.least_share;
  if (known.waits_since && ran - known.ran < share) {
    collection.Press(true);
    pressed_.notify_one();
  }
  known.waits_since = now;
  known.ran = ran;
}

void Collections::MakeGraphs(Work work) {
  work == Work::kWhenIdle ? RunWhenIdle() : RunAtAShare();
  Each<Backoff> retries(Backoff(kAfterFailure, kMostAfterGraph));
  auto& wanted = work == Work::kWhenIdle ? flushed_ : pressed_;
  std::unique_lock lock(mutex_);
  while (!stopping_) {
    auto all = All();
    lock.unlock();
    bool made = false;
    for (const auto& [name, weak] : all) {
      const auto collection = weak.lock();
      if (!collection || collection->Pressed() != (work == Work::kNow)) continue;
      Backoff& retry = retries.Of(collection);
      if (!retry.Due(clock_.Now())) continue;
      const bool one = MakeGraphOf(name, *collection, work, retry);
      if (!one && work == Work::kNow) collection->Press(false);
      made = made || one;
    }
    all.clear();
    retries.DropThoseOfNone();
    if (made) tidy_.notify_one();
    lock.lock();
    if (!stopping_ && !made) wanted.wait_for(lock, kAfterFailure);
  }
}

bool Collections::MakeGraphOf(const std::string& name, Collection& collection, Work work,
                              Backoff& retry) {
  auto done = collection.Merge(work);
  if (done && !*done) done = collection.MakeGraph(work);
  if (!done) {
    if (retry.Failed(clock_.Now())) {
      LogWarn("collection {}: search is slower for now: {}", name, done.error().message);
    }
    return false;
  }
  if (retry.Succeeded()) LogInfo("collection {}: search is as fast as it was", name);
  return *done;
}

}  // namespace samovar
