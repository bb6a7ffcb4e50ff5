#include "main/csv_rows.h"

#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/parse.hpp>
#include <charconv>
#include <cmath>
#include <filesystem>
#include <map>
#include <set>

#include "wire/utf8.h"

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

// As JSON reads it, so that whole numbers stay whole; nullopt for all else.
std::optional<json::value> JsonNumber(std::string_view text) {
  const auto begin = text.find_first_not_of(' ');
  if (begin == text.npos) return std::nullopt;
  text = text.substr(begin, text.find_last_not_of(' ') + 1 - begin);
  if (text[0] != '-' && (text[0] < '0' || text[0] > '9')) return std::nullopt;
  boost::system::error_code error;
  json::value value = json::parse(text, error);
  if (error || !value.is_number()) return std::nullopt;
  if (value.is_double() && !std::isfinite(value.get_double())) return std::nullopt;
  return value;
}

// The number behind "vector_"; nullopt where it is another column.
std::optional<std::uint64_t> Component(std::string_view name, const std::string& vector) {
  if (!name.starts_with(vector + "_")) return std::nullopt;
  name.remove_prefix(vector.size() + 1);
  std::uint64_t number = 0;
  const auto [end, error] = std::from_chars(name.data(), name.data() + name.size(), number);
  if (error != std::errc() || end != name.data() + name.size()) return std::nullopt;
  return number;
}

}  // namespace

Result<std::unique_ptr<RowSource>> CsvRows::Open(const RowFile& file) {
  std::unique_ptr<CsvRows> rows(new CsvRows(file));
  std::error_code ignored;
  rows->total_ = std::filesystem::file_size(file.path, ignored);
  TRY(rows->ReadHead());
  return rows;
}

Result<void> CsvRows::ReadHead() {
  TRY(const auto head, reader_.Next());
  if (head) names_ = *head;
  std::set<std::string> seen;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (!seen.insert(names_[i]).second) return Wrong("there are two columns " + names_[i]);
    if (names_[i] == file_.id_column) id_ = i;
    if (names_[i] == file_.vector_column) vector_ = i;
  }
  if (id_ == kNone) {
    return Wrong(fmt::format("there is no column {}; --id-column says which has the ids: {}",
                             file_.id_column, fmt::join(names_, ", ")));
  }
  if (vector_ == kNone) TRY(ReadComponents());
  is_attribute_.assign(names_.size(), true);
  is_attribute_[id_] = false;
  if (vector_ != kNone) is_attribute_[vector_] = false;
  for (const std::size_t column : components_) is_attribute_[column] = false;
  return {};
}

Result<void> CsvRows::ReadComponents() {
  std::map<std::uint64_t, std::size_t> found;
  for (std::size_t i = 0; i < names_.size(); ++i) {
    if (const auto number = Component(names_[i], file_.vector_column)) found[*number] = i;
  }
  if (found.empty()) {
    return Wrong(fmt::format(
        "there is no column {} and none {}_0; --vector-column says which has the vectors: {}",
        file_.vector_column, file_.vector_column, fmt::join(names_, ", ")));
  }
  std::uint64_t next = found.begin()->first;  // some count from 1
  for (const auto& [number, column] : found) {
    if (number != next) {
      return Wrong(fmt::format("there is no column {}_{}, but {}", file_.vector_column, next,
                               names_[column]));
    }
    components_.push_back(column);
    ++next;
  }
  return {};
}

Result<std::optional<json::object>> CsvRows::Next() {
  while (true) {
    TRY(const auto cells, reader_.Next());
    if (!cells) return std::optional<json::object>();
    done_ = reader_.Offset();
    if (cells->size() == 1 && cells->front().empty() && names_.size() > 1) continue;
    if (cells->size() != names_.size()) {
      return Wrong(fmt::format("it has {} cells, the head has {}", cells->size(), names_.size()));
    }
    TRY(const auto vector, Vector(*cells));
    json::object attributes;
    for (std::size_t i = 0; i < cells->size(); ++i) {
      const std::string& cell = (*cells)[i];
      if (!IsUtf8(cell)) return Wrong(names_[i] + ": it is not UTF-8");
      if (!is_attribute_[i] || cell.empty()) continue;
      auto number = JsonNumber(cell);
      attributes[names_[i]] = number ? std::move(*number) : json::value(cell);
    }
    return json::object{{"op", "put"},
                        {"id", (*cells)[id_]},
                        {"vector", PackVector(vector)},
                        {"attributes", std::move(attributes)}};
  }
}

Result<std::vector<float>> CsvRows::Vector(const std::vector<std::string>& cells) const {
  if (vector_ != kNone) {
    auto numbers = ParseNumbers(cells[vector_]);
    if (!numbers) return Wrong(file_.vector_column + ": expected numbers");
    return std::move(*numbers);
  }
  std::vector<float> vector;
  for (const std::size_t column : components_) {
    const auto number = ParseNumber(cells[column]);
    if (!number) return Wrong(names_[column] + ": expected a number");
    vector.push_back(static_cast<float>(*number));
  }
  return vector;
}

std::unexpected<Error> CsvRows::Wrong(const std::string& what) const {
  return Fail(Code::kInvalid, fmt::format("{}:{}: {}", file_.path, reader_.Line(), what));
}

}  // namespace samovar
