#pragma once
// ParquetRows: the rows of a Parquet file, read by PyPI's pyarrow.
//
// How      python/parquet_rows.py, which this program carries, prints a JSON object for each row;
//          it runs in an environment of its own, or on the chosen interpreter where that has
//          pyarrow.
// Errors   kInvalid, with file, row and column.
// Threads  One.

#include "base/clock.h"
#include "main/child_process.h"
#include "main/row_source.h"
#include "main/terminal.h"

namespace samovar {

class ParquetRows final : public RowSource {
 public:
  static Result<std::unique_ptr<RowSource>> Open(const RowFile& file, const Terminal& terminal,
                                                 const Clock& clock);
  Result<std::optional<boost::json::object>> Next() override;

 private:
  ParquetRows(std::string path, ChildLines lines)
      : path_(std::move(path)), lines_(std::move(lines)) {}
  Result<std::optional<boost::json::object>> ReadLine();
  Result<void> ReadHead();

  std::string path_;
  ChildLines lines_;
  std::string said_;  // by a library, instead of a row
  double rows_ = 0;
  double row_ = 0;
};

}  // namespace samovar
