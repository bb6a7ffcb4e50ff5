#pragma once
// CopyTree: a copy of a folder that user code made, by root, within bounds.
//
// How      Nothing is followed: each name is opened from the folder that holds it, and what is not
//          a file, a folder, a link or a FIFO is left out. Owners, modes and times of change are
//          kept; hard links become files of their own.
// Errors   kUnsupported: the budget is used up; the message names the folder. Others from the
//          kernel.

#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace samovar {

struct CopyBudget {
  Bytes bytes = Bytes::MiB(64);
  int entries = 4096;
  int depth = 64;
};

// `name` is what messages call it.
Result<void> CopyTree(int from, int to, const std::string& name, CopyBudget& budget);

}  // namespace samovar
