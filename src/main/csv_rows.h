#pragma once
// CsvRows: the rows of a CSV file whose first record names its columns.
//
// How      vector_0, vector_1, ... are put in the order of their numbers, in whichever order they
//          stand. A cell is a number where JSON would read it as one: "007" and "nan" stay text.
//          Lines without anything are passed over.
// Errors   kInvalid, with file, line and column.
// Threads  One.

#include "main/csv_reader.h"
#include "main/row_source.h"

namespace samovar {

class CsvRows final : public RowSource {
 public:
  static Result<std::unique_ptr<RowSource>> Open(const RowFile& file);
  Result<std::optional<boost::json::object>> Next() override;

 private:
  explicit CsvRows(RowFile file) : file_(std::move(file)), reader_(file_.path) {}
  Result<void> ReadHead();
  Result<void> ReadComponents();
  Result<std::vector<float>> Vector(const std::vector<std::string>& cells) const;
  std::unexpected<Error> Wrong(const std::string& what) const;

  static constexpr std::size_t kNone = static_cast<std::size_t>(-1);
  RowFile file_;
  CsvReader reader_;
  std::vector<std::string> names_;
  std::size_t id_ = kNone, vector_ = kNone;  // their columns
  std::vector<std::size_t> components_;      // the columns of vector_0, vector_1, ...
  std::vector<bool> is_attribute_;
};

}  // namespace samovar
