#pragma once
// RowSource: the rows of a file that `samovar collections load` sends: .jsonl, .csv or .npy.
//
// How      .jsonl: {"id", "vector", "attributes"} a line. .csv: a column id; a column vector with
// the
//          numbers ("[1, 2]" or "1 2") or columns vector_0, vector_1, ...; all others are
//          attributes. .npy: a matrix of floats; ids from a file with one a line, else the row's
//          number.
// Errors   kInvalid, with file and line.
// Threads  One.

#include <boost/json/object.hpp>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace samovar {

class RowSource {
 public:
  virtual ~RowSource() = default;
  // The next put, as a change of a batch (docs/openapi/collections.yaml); nullopt at the end.
  virtual Result<std::optional<boost::json::object>> Next() = 0;
  std::uint64_t Done() const { return done_; }  // bytes of the file
  std::uint64_t Total() const { return total_; }
  virtual std::optional<std::uint64_t> Dimension() const {
    return std::nullopt;
  }  // where it says so

 protected:
  std::uint64_t done_ = 0;
  std::uint64_t total_ = 0;
};

// By the file's name. `ids`: a file, for .npy; "" without.
Result<std::unique_ptr<RowSource>> OpenRowSource(const std::string& path, const std::string& ids);

// base64 of f32, little-endian.
std::string PackVector(const std::vector<float>& values);

}  // namespace samovar
