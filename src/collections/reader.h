#pragma once
// CollectionReader: a collection as another process sees it, through its folder, read-only.
//
// How      Latest() looks at two words of the control page; only where segments changed does it
//          open files. It survives fork and a restart of the writer.
// Errors   kNotFound: there is no such collection, or it was deleted; another of its name and
//          schema takes its place. kUnavailable: its server is just starting. kTimeout: the
//          generation that was asked for did not come in time.
// Threads  Safe.

#include <chrono>
#include <map>
#include <mutex>

#include "collections/snapshot.h"

namespace samovar {

class CollectionReader {
 public:
  // `folder`: of this one collection.
  static Result<std::unique_ptr<CollectionReader>> Open(std::string folder);

  Result<Snapshot> Latest();
  // At least that generation; waits for it.
  Result<Snapshot> AtLeast(std::uint64_t generation, std::chrono::milliseconds wait);
  const Schema& Of() const { return schema_; }

 private:
  explicit CollectionReader(std::string folder) : folder_(std::move(folder)) {}
  Result<void> OpenControl();
  Result<ViewPtr> Load(std::uint64_t manifest);
  const layout::Control& Control() const {
    return *reinterpret_cast<const layout::Control*>(control_->Data());
  }

  std::string folder_;
  Schema schema_;
  std::mutex mutex_;
  std::shared_ptr<MappedFile> control_;
  ViewPtr view_;
};

}  // namespace samovar
