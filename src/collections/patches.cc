#include "collections/patches.h"

#include <unistd.h>

#include <algorithm>
#include <cstring>

#include "collections/schema.h"

namespace samovar {

using layout::PatchRecord;

std::string PatchPath(const std::string& folder, std::uint64_t number) {
  return folder + "/patch-" + std::to_string(number);
}

Result<const char*> Patches::At(std::uint64_t patch) const {
  const std::uint64_t number = FileOf(patch);
  std::lock_guard lock(mutex_);
  auto found = files_.find(number);
  if (found == files_.end()) {
    auto opened = MappedFile::Open(PatchPath(folder_, number), access_, layout::kPatchFile);
    if (!opened) return Fail(Code::kConflict, "this view of the collection is too old");
    found = files_.emplace(number, std::move(*opened)).first;
  }
  return found->second.Data() + (patch & (layout::kPatchFile - 1));
}

Result<Patches::Record> Patches::Get(std::uint64_t patch) const {
  TRY(const char* at, At(patch));
  PatchRecord record{};
  std::memcpy(&record, at, sizeof(record));
  return Record{record.generation, record.previous, {at + sizeof(record), record.size}};
}

Result<std::optional<std::string_view>> Patches::Read(std::uint64_t patch,
                                                      std::uint64_t generation) const {
  while (patch != 0) {
    TRY(const Record record, Get(patch));
    if (record.generation <= generation) return record.attributes;
    patch = record.previous;
  }
  return std::optional<std::string_view>();
}

void Patches::RemoveBelow(std::uint64_t number) {
  std::lock_guard lock(mutex_);
  for (; first_ < std::min(number, number_); ++first_) {
    files_.erase(first_);
    ::unlink(PatchPath(folder_, first_).c_str());
  }
}

Result<void> Patches::Reserve(Disk& disk, std::uint64_t bytes) {
  if (used_ + bytes <= layout::kPatchFile) return {};
  // A file may end with room that the next record does not fit in.
  constexpr std::uint64_t kUsable = layout::kPatchFile - 2 * kMaxAttributes;
  const std::uint64_t last = number_ + (bytes + kUsable - 1) / kUsable;
  while (made_ < last) {
    const std::string path = PatchPath(folder_, made_ + 1);
    UnfinishedFile unfinished(path);
    TRY(Fd file, disk.Create(path));
    TRY(disk.Reserve(file.Get(), layout::kPatchFile, path));
    TRY(At((made_ + 1) << layout::kPatchBits));
    unfinished.Keep();
    ++made_;
  }
  return {};
}

Result<std::uint64_t> Patches::Append(Disk& disk, std::uint64_t generation, std::uint64_t previous,
                                      std::string_view attributes) {
  const std::uint64_t size = SizeOf(attributes.size());
  if (used_ + size > layout::kPatchFile) {
    TRY(Reserve(disk, size));
    ++number_;
    used_ = 8;  // so that no record is at 0
  }
  const std::uint64_t patch = number_ << layout::kPatchBits | used_;
  TRY(const char* at, At(patch));
  const PatchRecord record{generation, previous, attributes.size()};
  std::memcpy(const_cast<char*>(at), &record, sizeof(record));
  std::memcpy(const_cast<char*>(at) + sizeof(record), attributes.data(), attributes.size());
  used_ += size;
  return patch;
}

}  // namespace samovar
