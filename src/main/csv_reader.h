#pragma once
// CsvReader: the records of a CSV file.
// Errors   kInvalid for a quote that is not closed or stands in the middle of a cell.
// Source   RFC 4180; line ends may be LF, and a byte order mark may stand before all (Excel's).

#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"

namespace samovar {

class CsvReader {
 public:
  explicit CsvReader(std::string path) : path_(std::move(path)), in_(path_, std::ios::binary) {}

  Result<std::optional<std::vector<std::string>>> Next();  // nullopt at the end
  std::uint64_t Line() const { return line_; }             // of the record that was read last
  std::uint64_t Offset() const { return offset_; }         // behind it

 private:
  int Get();
  std::unexpected<Error> Wrong(const std::string& what) const;

  std::string path_;
  std::ifstream in_;
  std::uint64_t line_ = 0;
  std::uint64_t next_line_ = 1;
  std::uint64_t offset_ = 0;
};

}  // namespace samovar
