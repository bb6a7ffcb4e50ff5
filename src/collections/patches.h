#pragma once
// Patches: newer attributes of rows, beside the segments: files patch-N of 16 MiB, one after the
// other.
//
// Why      A change of attributes alone touches neither vector nor segment.
// How      A record names the one before it of its row, so a reader walks back to what its
//          generation had.
// Errors   Read: kConflict for a record whose file is gone: the view is too old.
// Threads  Read: any. Append: one writer.

#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "collections/disk.h"
#include "collections/layout.h"
#include "collections/mapped_file.h"

namespace samovar {

std::string PatchPath(const std::string& folder, std::uint64_t number);

class Patches {
 public:
  Patches(std::string folder, MappedFile::Access access)
      : folder_(std::move(folder)), access_(access) {}

  // What the chain that begins at `patch` had at the generation; nullopt: nothing yet.
  Result<std::optional<std::string_view>> Read(std::uint64_t patch, std::uint64_t generation) const;

  struct Record {
    std::uint64_t generation = 0;  // that brought it
    std::uint64_t previous = 0;
    std::string_view attributes;
  };
  Result<Record> Get(std::uint64_t patch) const;

  // For the writer. The number of the file that the first record goes to: one that never was.
  void StartAt(std::uint64_t number) {
    first_ = number;
    number_ = made_ = number - 1;
  }
  // Room for records of so many bytes together, so that Append cannot fail for want of it.
  Result<void> Reserve(Disk& disk, std::uint64_t bytes);
  static std::uint64_t SizeOf(std::size_t attributes) {
    return (sizeof(layout::PatchRecord) + attributes + 7) / 8 * 8;
  }
  Result<std::uint64_t> Append(Disk& disk, std::uint64_t generation, std::uint64_t previous,
                               std::string_view attributes);
  // The file that is written to, and the first that there is.
  std::uint64_t Number() const { return number_; }
  std::uint64_t First() const { return first_; }
  // Later records are at it or above.
  std::uint64_t End() const { return (number_ << layout::kPatchBits) + used_; }
  std::uint64_t Bytes() const { return (made_ + 1 - first_) * layout::kPatchFile; }
  void RemoveBelow(std::uint64_t number);
  static std::uint64_t FileOf(std::uint64_t patch) { return patch >> layout::kPatchBits; }

 private:
  Result<const char*> At(std::uint64_t patch) const;

  std::string folder_;
  MappedFile::Access access_;
  mutable std::mutex mutex_;
  mutable std::map<std::uint64_t, MappedFile> files_;
  std::uint64_t number_ = 0;
  std::uint64_t first_ = 1;
  std::uint64_t used_ = layout::kPatchFile;  // of the file `number_`; as here: there is none yet
  std::uint64_t made_ = 0;                   // the last file that there is
};

}  // namespace samovar
