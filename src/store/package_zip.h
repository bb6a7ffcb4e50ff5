#pragma once
// PackageZip: an unpacked tree as a zip, made while it is read.
//
// Why      A package that came as a manifest has no zip of its own, and GetFunction gives one out.
// How      Entries sorted by path, without times, as `samovar deploy` packs them; the whole is
//          never in memory.
// Errors   kUnavailable when the disk fails.
// Threads  One object, one thread; Next() blocks.

#include <memory>
#include <string>

#include "base/error.h"

namespace samovar {

class PackageZip {
 public:
  explicit PackageZip(const std::string& tree);
  ~PackageZip();
  PackageZip(const PackageZip&) = delete;
  PackageZip& operator=(const PackageZip&) = delete;

  // The next bytes; "" at the end.
  Result<std::string> Next();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

}  // namespace samovar
