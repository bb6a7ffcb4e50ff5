#pragma once
// The data folder's store, opened by a command while no server runs.
//
// How      The same folder (DATA_DIR/state) that `samovar serve` opens; RocksDB's lock keeps the
//          two apart. What is made stays the property of the folder's owner, so that a server that
//          has dropped its privileges can go on with it.
// Errors   kConflict when a server has it open.

#include <string>

#include "base/clock.h"
#include "base/error.h"
#include "gateway/key_store.h"

namespace samovar {

// Where the key-value store of a data folder is.
std::string StoreFolder(const std::string& data_dir);

Result<AccessKey> CreateKeyOffline(const std::string& data_dir, const std::string& description,
                                   const Clock& clock);

}  // namespace samovar
