#include "collections/piece_writer.h"

#include <algorithm>

namespace samovar {

Result<void> PieceWriter::Add(std::string_view bytes) {
  while (!bytes.empty()) {
    const std::size_t part = std::min(bytes.size(), kHugePage - piece_.size());
    piece_.append(bytes.substr(0, part));
    bytes.remove_prefix(part);
    if (piece_.size() == kHugePage) TRY(Finish());
  }
  return {};
}

Result<void> PieceWriter::Finish() {
  if (piece_.empty()) return {};
  const bool huge = pages_ == Pages::kHuge && piece_.size() == kHugePage;
  TRY(huge ? disk_.WriteHuge(file_, at_, piece_, path_) : disk_.Write(file_, at_, piece_, path_));
  at_ += piece_.size();
  piece_.clear();
  return disk_.Sync(file_, path_);
}

}  // namespace samovar
