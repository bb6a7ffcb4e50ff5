#pragma once
// BuiltCodes: the codes of a sealed segment's rows, made for a graph that is about to be built.
//
// Units    Memory: a code and 8 bytes a row; where rows are their own codes, the 8 bytes.
// Threads  Encode: any, each row once. Then immutable.

#include <cstdlib>
#include <memory>
#include <string_view>
#include <vector>

#include "collections/codes.h"
#include "collections/segment.h"

namespace samovar {

class BuiltCodes {
 public:
  BuiltCodes(const Segment& segment, const Schema& schema, std::uint64_t rows);

  void Encode(std::uint64_t row);
  // There are none from now on.
  void Drop();
  RowCodes Rows() const {
    return {made_ ? made_.get() : segment_.Vectors(), facts_.data(), bytes_};
  }
  std::string_view Made() const { return {made_.get(), made_ ? facts_.size() * bytes_ : 0}; }
  bool Dropped() const { return bytes_ == 0; }
  const std::vector<layout::CodeFacts>& Facts() const { return facts_; }

 private:
  struct Free {
    void operator()(char* memory) const { std::free(memory); }
  };
  const Segment& segment_;
  const Schema& schema_;
  std::size_t bytes_;
  std::unique_ptr<char, Free> made_;
  std::vector<layout::CodeFacts> facts_;
};

}  // namespace samovar
