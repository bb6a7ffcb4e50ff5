#pragma once
// Checkpoint: a collection at one generation, on disk: its sealed segments and what has changed of
// them. What came later is in the log.
//
// Why      A million rows of which each changed once would be written again by each flush.
// How      Newer attributes are in the checkpoint itself until they are many. Then they go to a
//          file of their own, which later checkpoints name: a checkpoint too, of `patched` alone.
// Errors   Decode: kInternal, with the file's name.

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace samovar {

struct SegmentState {
  std::uint64_t number = 0;
  std::vector<std::uint64_t> dead;  // rows
  // Rows and their attributes; they go before those that `files` have.
  std::vector<std::pair<std::uint64_t, std::string>> patched;
};

struct CheckpointData {
  std::uint64_t generation = 0;
  std::uint64_t next_number = 1;     // no segment had this one or a larger one
  std::vector<std::uint64_t> files;  // AttributesPath, the oldest first
  std::vector<SegmentState> segments;
};

std::string AttributesPath(const std::string& folder, std::uint64_t number);

std::string EncodeCheckpoint(const CheckpointData& checkpoint);
Result<CheckpointData> DecodeCheckpoint(std::string_view bytes, const std::string& name);

}  // namespace samovar
