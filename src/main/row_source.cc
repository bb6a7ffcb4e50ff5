#include "main/row_source.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <vector>

#include "base/encoding.h"
#include "main/csv_reader.h"
#include "main/npy_rows.h"
#include "main/parquet_rows.h"

namespace samovar {

namespace json = boost::json;

namespace {

std::optional<double> ParseNumber(std::string_view text) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

std::optional<std::vector<float>> ParseNumbers(std::string_view text) {
  std::vector<float> values;
  std::string word;
  for (std::size_t i = 0; i <= text.size(); ++i) {
    const char c = i < text.size() ? text[i] : ' ';
    if (c != ' ' && c != ',' && c != ';' && c != '[' && c != ']') {
      word += c;
      continue;
    }
    if (word.empty()) continue;
    const auto value = ParseNumber(word);
    if (!value) return std::nullopt;
    values.push_back(static_cast<float>(*value));
    word.clear();
  }
  return values;
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
      if (line.find_first_not_of(" \t\r") == line.npos) continue;
      boost::system::error_code error;
      json::value value = json::parse(line, error);
      if (error || !value.is_object()) return Wrong("expected a JSON object");
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

class CsvRows final : public RowSource {
 public:
  explicit CsvRows(RowFile file) : file_(std::move(file)), reader_(file_.path) {
    std::error_code ignored;
    total_ = std::filesystem::file_size(file_.path, ignored);
  }
  Result<void> ReadHead() {
    TRY(const auto head, reader_.Next());
    if (head) names_ = *head;
    const auto is_vector = [&](const std::string& name) {
      return name == file_.vector_column || name.starts_with(file_.vector_column + "_");
    };
    if (std::ranges::find(names_, file_.id_column) == names_.end()) {
      return Missing(file_.id_column + "; --id-column says which has the ids");
    }
    if (std::ranges::none_of(names_, is_vector)) {
      return Missing(fmt::format("{} and none {}_0; --vector-column says which has the vectors",
                                 file_.vector_column, file_.vector_column));
    }
    return {};
  }
  Result<std::optional<json::object>> Next() override {
    TRY(const auto cells, reader_.Next());
    if (!cells) return std::optional<json::object>();
    done_ = reader_.Offset();
    if (cells->size() != names_.size()) {
      return Wrong("it has " + std::to_string(cells->size()) + " cells, the head has " +
                   std::to_string(names_.size()));
    }
    json::object row{{"op", "put"}};
    json::object attributes;
    std::vector<float> vector;
    for (std::size_t i = 0; i < cells->size(); ++i) {
      TRY(Take(names_[i], (*cells)[i], row, vector, attributes));
    }
    row["vector"] = PackVector(vector);
    row["attributes"] = std::move(attributes);
    return row;
  }

 private:
  Result<void> Take(const std::string& name, const std::string& cell, json::object& row,
                    std::vector<float>& vector, json::object& attributes) const {
    if (name == file_.id_column) {
      row["id"] = cell;
    } else if (name == file_.vector_column) {
      auto numbers = ParseNumbers(cell);
      if (!numbers) return Wrong("vector: expected numbers");
      vector = std::move(*numbers);
    } else if (name.starts_with(file_.vector_column +
                                "_")) {  // they stand in the order of the components
      const auto number = ParseNumber(cell);
      if (!number) return Wrong(name + ": expected a number");
      vector.push_back(static_cast<float>(*number));
    } else if (const auto number = ParseNumber(cell)) {
      attributes[name] = *number;
    } else if (!cell.empty()) {
      attributes[name] = cell;
    }
    return {};
  }
  std::unexpected<Error> Missing(const std::string& what) const {
    return Fail(Code::kInvalid, file_.path + ":1: there is no column " + what);
  }
  std::unexpected<Error> Wrong(const std::string& what) const {
    return Fail(Code::kInvalid, file_.path + ":" + std::to_string(reader_.Line()) + ": " + what);
  }
  RowFile file_;
  CsvReader reader_;
  std::vector<std::string> names_;
};

class MatrixRows final : public RowSource {
 public:
  MatrixRows(std::string path, NpyRows rows, std::string ids)
      : path_(std::move(path)), rows_(std::move(rows)), ids_(std::move(ids)) {
    if (!ids_.empty()) names_.open(ids_);
    total_ = rows_.Rows() * rows_.RowBytes();
  }
  std::optional<std::uint64_t> Dimension() const override { return rows_.Columns(); }
  Result<std::optional<json::object>> Next() override {
    if (index_ == rows_.Rows()) return std::optional<json::object>();
    std::string id = std::to_string(index_);
    if (!ids_.empty() && !std::getline(names_, id)) {
      return Fail(Code::kInvalid, ids_ + ": it has fewer lines than " + path_ + " has rows (" +
                                      std::to_string(rows_.Rows()) + ")");
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
      return Fail(Code::kNotFound, "there is no file " + name);
    }
  }
  if (!ids.empty() && !path.ends_with(".npy")) {
    return Fail(Code::kInvalid, "--ids: only an .npy file has no ids of its own");
  }
  if (path.ends_with(".jsonl") || path.ends_with(".ndjson")) {
    return std::make_unique<JsonLines>(path);
  }
  if (path.ends_with(".csv")) {
    auto rows = std::make_unique<CsvRows>(file);
    TRY(rows->ReadHead());
    return rows;
  }
  if (path.ends_with(".npy")) {
    TRY(auto rows, NpyRows::Open(path));
    return std::make_unique<MatrixRows>(path, std::move(rows), ids);
  }
  if (path.ends_with(".parquet") || path.ends_with(".pq")) {
    return ParquetRows::Open(file, terminal, clock);
  }
  return Fail(Code::kInvalid, path + ": expected a .jsonl, .csv, .parquet or .npy file");
}

}  // namespace samovar
