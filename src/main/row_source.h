#pragma once
// RowSource: the rows of a file that `samovar collections load` sends: .jsonl, .csv, .parquet or
// .npy.
//
// How      .jsonl: {"id", "vector", "attributes"} a line. .csv and .parquet: a column id; a column
//          vector with the numbers (in .csv "[1, 2]" or "1 2") or columns vector_0, vector_1, ...;
//          all others are attributes. .npy: a matrix of numbers; ids from a file with one a line,
//          else the row's number. A byte order mark before text is passed over: Excel writes one.
// Errors   kInvalid, with file and line or row.
// Threads  One.

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "main/terminal.h"

namespace samovar {

inline constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

class RowSource {
 public:
  virtual ~RowSource() = default;
  // The next put, as a change of a batch (docs/openapi/collections.yaml); nullopt at the end.
  virtual Result<std::optional<boost::json::object>> Next() = 0;
  std::uint64_t Done() const { return done_; }  // bytes of the file
  std::uint64_t Total() const { return total_; }

 protected:
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

struct RowFile {
  std::string path;
  std::string ids = {};  // a file, for .npy; "" without
  std::string id_column = "id", vector_column = "vector";
  std::string python = {}, cache = {};  // for .parquet: as `samovar model export` has them
};

// By the file's name.
Result<std::unique_ptr<RowSource>> OpenRowSource(const RowFile& file, const Terminal& terminal,
                                                 const Clock& clock);

// base64 of f32, little-endian.
std::string PackVector(const std::vector<float>& values);

}  // namespace samovar
