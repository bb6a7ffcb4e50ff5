#pragma once
// ContentHash: the SHA-256 of bytes that come piece by piece.
// Threads  One object, one thread.

#include <memory>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

class ContentHash {
 public:
  ContentHash();
  ~ContentHash();
  ContentHash(const ContentHash&) = delete;
  ContentHash& operator=(const ContentHash&) = delete;

  void Update(std::string_view bytes);
  std::string Hex();  // once

  static std::string Of(std::string_view bytes);
  // Of a whole file, read from its start.
  static Result<std::string> OfFile(int fd);

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

// 64 lower-case hex digits.
bool IsContentHash(std::string_view text);

}  // namespace samovar
