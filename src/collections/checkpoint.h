#pragma once
// Checkpoint: a collection at one generation, on disk: its sealed segments and what has changed of
// them. What came later is in the log.
// Errors   Decode: kInternal, with the file's name.

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace samovar {

struct SegmentState {
  std::uint64_t number = 0;
  std::vector<std::uint64_t> dead;                             // rows
  std::vector<std::pair<std::uint64_t, std::string>> patched;  // rows and their attributes
};

struct CheckpointData {
  std::uint64_t generation = 0;
  std::uint64_t next_number = 1;  // no segment had this one or a larger one
  std::vector<SegmentState> segments;
};

std::string EncodeCheckpoint(const CheckpointData& checkpoint);
Result<CheckpointData> DecodeCheckpoint(std::string_view bytes, const std::string& name);

}  // namespace samovar
