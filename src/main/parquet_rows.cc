#include "main/parquet_rows.h"

#include <boost/json/parse.hpp>
#include <filesystem>

#include "main/api_client.h"
#include "main/python_environment.h"
#include "main/python_scripts.h"

namespace samovar {

namespace json = boost::json;

namespace {

constexpr const char* kPackage = "pyarrow==26.0.1";

// Whether this interpreter can read such files as it is.
bool HasArrow(const std::string& python) {
  const auto status =
      RunChild({.argv = {python, "-c", "import pyarrow.parquet"}, .folder = "", .environment = {}},
               [](std::string_view) {});
  return status && *status == 0;
}

}  // namespace

Result<std::unique_ptr<RowSource>> ParquetRows::Open(const RowFile& file, const Terminal& terminal,
                                                     const Clock& clock) {
  TRY(const auto cache, CacheFolder("parquet", file.cache));
  std::string python = file.python;
  if (python.empty() || !HasArrow(python)) {
    TRY(const std::string found, FindPython(file.python));
    TRY(python, PythonEnvironment(cache, found, {kPackage}, terminal, clock));
  }
  const PythonScript script(cache, "parquet_rows", ParquetRowsScript());
  TRY(const std::string program, script.Write());
  TRY(auto lines,
      ChildLines::Start({.argv = {python, program, file.path, "--id-column", file.id_column,
                                  "--vector-column", file.vector_column},
                         .folder = "",
                         .environment = {{"PYTHONWARNINGS", "ignore"}}}));
  std::unique_ptr<ParquetRows> rows(new ParquetRows(file.path, std::move(lines)));
  TRY(rows->ReadHead());  // then the script is read, too
  return rows;
}

Result<std::optional<json::object>> ParquetRows::ReadLine() {
  while (const auto line = lines_.Next()) {
    boost::system::error_code error;
    json::value value = json::parse(*line, error);
    if (error || !value.is_object()) {
      said_ = SafeText(*line);
      continue;
    }
    if (const std::string why = JsonText(value, "error"); !why.empty()) {
      return Fail(Code::kInvalid, path_ + ": " + why);
    }
    return std::move(value.get_object());
  }
  if (const int status = lines_.Wait(); status != 0) {
    return Fail(Code::kInvalid, path_ + ": its reader ended with " + std::to_string(status) +
                                    (said_.empty() ? "" : ": " + said_));
  }
  return std::optional<json::object>();
}

Result<void> ParquetRows::ReadHead() {
  TRY(const auto head, ReadLine());
  if (head) rows_ = JsonNumber(*head, "rows");
  std::error_code ignored;
  total_ = std::filesystem::file_size(path_, ignored);
  return {};
}

Result<std::optional<json::object>> ParquetRows::Next() {
  TRY(auto row, ReadLine());
  if (!row) return row;
  (*row)["op"] = "put";
  done_ = static_cast<std::uint64_t>(static_cast<double>(total_) * (++row_ / rows_));
  return row;
}

}  // namespace samovar
