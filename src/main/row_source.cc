#include "main/row_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/parse.hpp>
#include <cmath>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/encoding.h"
#include "main/csv_rows.h"
#include "main/npy_rows.h"
#include "main/parquet_rows.h"

namespace samovar {

namespace json = boost::json;

namespace {

// JSON has 1e999, but nothing holds it.
bool Finite(const json::value& value) {
  if (const auto* number = value.if_double()) return std::isfinite(*number);
  if (const auto* array = value.if_array()) return std::ranges::all_of(*array, Finite);
  const auto* object = value.if_object();
  return !object ||
         std::ranges::all_of(*object, [](const auto& member) { return Finite(member.value()); });
}

class JsonLines final : public RowSource {
 public:
  explicit JsonLines(std::string path) : path_(std::move(path)), in_(path_) {
    std::error_code ignored;
    total_ = std::filesystem::file_size(path_, ignored);
  }
  Result<std::optional<json::object>> Next() override {
    std::string line;
    while (std::getline(in_, line)) {
      ++number_;
      done_ += line.size() + 1;
      if (number_ == 1 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
      if (line.find_first_not_of(" \t\r") == line.npos) continue;
      boost::system::error_code error;
      json::value value = json::parse(line, error);
      if (error) return Wrong("expected a JSON object: " + error.message());
      if (!value.is_object()) return Wrong("expected a JSON object");
      if (!Finite(value)) return Wrong("a number is too large");
      json::object row = std::move(value.get_object());
      for (const auto& member : row) {
        const std::string_view name = member.key();
        if (name == "id" || name == "vector" || name == "attributes") continue;
        return Wrong("there is a member \"" + std::string(name) +
                     "\"; a row has id, vector and attributes");
      }
      row["op"] = "put";
      return row;
    }
    return std::optional<json::object>();
  }

 private:
  std::unexpected<Error> Wrong(const std::string& what) const {
    return Fail(Code::kInvalid, path_ + ":" + std::to_string(number_) + ": " + what);
  }
  std::string path_;
  std::ifstream in_;
  std::uint64_t number_ = 0;
};

class MatrixRows final : public RowSource {
 public:
  MatrixRows(std::string path, NpyRows rows, std::string ids)
      : path_(std::move(path)), rows_(std::move(rows)), ids_(std::move(ids)) {
    if (!ids_.empty()) names_.open(ids_);
    total_ = rows_.Rows() * rows_.RowBytes();
  }
  Result<void> CheckIds() const {
    if (ids_.empty()) return {};
    std::uint64_t count = 0;
    std::ifstream in(ids_);
    for (std::string line; std::getline(in, line);) ++count;
    if (count == rows_.Rows()) return {};
    return Fail(Code::kInvalid, fmt::format("{}: it has {} lines, {} has {} rows", ids_, count,
                                            path_, rows_.Rows()));
  }
  Result<std::optional<json::object>> Next() override {
    if (index_ == rows_.Rows()) return std::optional<json::object>();
    std::string id = std::to_string(index_);
    if (!ids_.empty()) {
      std::getline(names_, id);
      if (id.ends_with('\r')) id.pop_back();
    }
    TRY(const auto values, rows_.Next());
    ++index_;
    done_ += rows_.RowBytes();
    return json::object{{"op", "put"}, {"id", id}, {"vector", PackVector(values)}};
  }

 private:
  std::string path_;
  NpyRows rows_;
  std::string ids_;
  std::ifstream names_;
  std::uint64_t index_ = 0;
};

}  // namespace

std::string PackVector(const std::vector<float>& values) {
  return Base64Encode({reinterpret_cast<const char*>(values.data()), values.size() * 4});
}

Result<std::unique_ptr<RowSource>> OpenRowSource(const RowFile& file, const Terminal& terminal,
                                                 const Clock& clock) {
  const auto& [path, ids, id_column, vector_column, python, cache] = file;
  for (const std::string& name : {path, ids}) {
    std::error_code error;
    if (!name.empty() && !std::filesystem::is_regular_file(name, error)) {
      return Fail(Code::kInvalid, "there is no file " + name);
    }
  }
  if (!ids.empty() && !path.ends_with(".npy")) {
    return Fail(Code::kInvalid, "--ids: only an .npy file has no ids of its own");
  }
  if (path.ends_with(".jsonl") || path.ends_with(".ndjson")) {
    return std::make_unique<JsonLines>(path);
  }
  if (path.ends_with(".csv")) {
    return CsvRows::Open(file);
  }
  if (path.ends_with(".npy")) {
    TRY(auto rows, NpyRows::Open(path));
    auto matrix = std::make_unique<MatrixRows>(path, std::move(rows), ids);
    TRY(matrix->CheckIds());
    return matrix;
  }
  if (path.ends_with(".parquet") || path.ends_with(".pq")) {
    return ParquetRows::Open(file, terminal, clock);
  }
  return Fail(Code::kInvalid, path + ": expected a .jsonl, .csv, .parquet or .npy file");
}

}  // namespace samovar
