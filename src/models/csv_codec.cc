#include "models/csv_codec.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <limits>
#include <optional>

#include "models/flat_output.h"

namespace samovar {
namespace {

using Row = std::vector<std::string>;

std::unexpected<Error> WrongLine(std::size_t line, std::string_view what) {
  return InvalidInput(fmt::format("line {} of the CSV: {}", line + 1, what));
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t begin = text.find_first_not_of(" \t");
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(" \t") - begin + 1);
}

// Takes one field and what ends it from `rest`. False: a quote that nobody closed.
bool TakeField(std::string_view& rest, std::string& field, bool& line_ends) {
  field.clear();
  if (rest.starts_with('"')) {
    rest.remove_prefix(1);
    while (true) {
      const std::size_t quote = rest.find('"');
      if (quote == std::string_view::npos) return false;
      field += rest.substr(0, quote);
      rest.remove_prefix(quote + 1);
      if (!rest.starts_with('"')) break;
      field += '"';
      rest.remove_prefix(1);
    }
  }
  const std::size_t end = std::min(rest.find_first_of(",\n"), rest.size());
  std::string_view plain = rest.substr(0, end);
  line_ends = end == rest.size() || rest[end] == '\n';
  if (line_ends && plain.ends_with('\r')) plain.remove_suffix(1);
  field += plain;
  rest.remove_prefix(std::min(end + 1, rest.size()));
  return true;
}

Result<std::vector<Row>> ReadRows(std::string_view text) {
  std::vector<Row> rows;
  while (!text.empty()) {
    Row row;
    for (bool line_ends = false; !line_ends;) {
      if (!TakeField(text, row.emplace_back(), line_ends)) {
        return WrongLine(rows.size(), "a quoted field does not end");
      }
      // A comma at the very end is followed by one more, empty field.
      if (!line_ends && text.empty()) {
        row.emplace_back();
        line_ends = true;
      }
    }
    const bool blank = row.size() == 1 && row.front().empty();
    if (!blank) rows.push_back(std::move(row));
  }
  return rows;
}

bool StoreText(Tensor& tensor, std::size_t index, const std::string& field) {
  if (tensor.IsText()) {
    tensor.strings[index] = field;
    return true;
  }
  std::string_view text = Trimmed(field);
  std::byte* data = tensor.bytes.data();
  if (text.empty()) {
    return IsFloating(tensor.type) &&
           Store(tensor.type, data, index, std::numeric_limits<double>::quiet_NaN());
  }
  if (text == "true" || text == "True") return Store(tensor.type, data, index, std::int64_t{1});
  if (text == "false" || text == "False") return Store(tensor.type, data, index, std::int64_t{0});
  if (text.starts_with('+')) text.remove_prefix(1);
  const char* last = text.data() + text.size();
  std::int64_t whole = 0;
  if (auto [end, error] = std::from_chars(text.data(), last, whole);
      error == std::errc() && end == last) {
    return Store(tensor.type, data, index, whole);
  }
  std::uint64_t large = 0;
  if (auto [end, error] = std::from_chars(text.data(), last, large);
      error == std::errc() && end == last) {
    return Store(tensor.type, data, index, large);
  }
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), last, value);
  return error == std::errc() && end == last && Store(tensor.type, data, index, value);
}

struct Columns {
  std::size_t input;
  std::size_t width;
};

// Which columns go to which input: each takes what its shape says; a single one may take all.
Result<std::vector<Columns>> PlanColumns(const ModelSignature& signature, std::size_t fields) {
  std::vector<Columns> plan;
  std::size_t total = 0;
  const auto required = signature.Required();
  for (std::size_t i : required) {
    const ValueInfo& info = signature.inputs[i];
    std::optional<std::size_t> width;
    if (info.kind == Value::Kind::kTensor && info.shape && !info.shape->empty()) {
      width = ElementCount(Shape(info.shape->begin() + 1, info.shape->end()));
    }
    const bool flat = info.kind == Value::Kind::kTensor && (!info.shape || info.shape->size() == 2);
    if (!width && required.size() == 1 && flat) width = fields;
    if (!width) return WrongInput(info, "CSV, which says nothing of its shape");
    plan.push_back({i, *width});
    total += *width;
  }
  if (total != fields) {
    std::string expected;
    for (const Columns& columns : plan) {
      const ValueInfo& info = signature.inputs[columns.input];
      expected += fmt::format("{}{} for input \"{}\" {}", expected.empty() ? "" : ", ",
                              columns.width, info.name, Describe(info));
    }
    return InvalidInput(
        fmt::format("CSV: expected rows of {} values ({}), got {}", total, expected, fields));
  }
  return plan;
}

void AppendField(const Tensor& tensor, std::size_t index, std::string& out) {
  if (!tensor.IsText()) {
    return AppendElement(tensor.type, tensor.bytes.data(), index, false, out);
  }
  const std::string& text = tensor.strings[index];
  if (text.find_first_of(",\"\r\n") == std::string::npos) {
    out += text;
    return;
  }
  out += '"';
  for (char c : text) out.append(c == '"' ? 2 : 1, c);
  out += '"';
}

}  // namespace

Result<ModelCall> DecodeCsv(const ModelSignature& signature, std::string_view text,
                            bool has_header) {
  TRY(std::vector<Row> rows, ReadRows(text));
  if (has_header && !rows.empty()) rows.erase(rows.begin());
  if (rows.empty()) return InvalidInput("the CSV has no rows");
  TRY(const auto plan, PlanColumns(signature, rows.front().size()));
  ModelCall call{.answer = PayloadForm::kCsv, .inputs = {}, .outputs = signature.AllOutputs()};
  call.inputs.resize(signature.inputs.size());
  std::size_t first = 0;
  for (const Columns& columns : plan) {
    const ValueInfo& info = signature.inputs[columns.input];
    Shape shape{0, static_cast<std::int64_t>(columns.width)};
    const bool open =
        !info.shape || !ElementCount(Shape(info.shape->begin() + 1, info.shape->end()));
    if (!open) shape = *info.shape;
    shape.front() = static_cast<std::int64_t>(rows.size());
    Tensor tensor = Tensor::Of(info.type, std::move(shape));
    for (std::size_t r = 0; r < rows.size(); ++r) {
      if (rows[r].size() != rows.front().size()) {
        return WrongLine(r, fmt::format("it has {} values, the first has {}", rows[r].size(),
                                        rows.front().size()));
      }
      for (std::size_t c = 0; c < columns.width; ++c) {
        const std::string& field = rows[r][first + c];
        if (!StoreText(tensor, r * columns.width + c, field)) {
          return WrongLine(r, fmt::format("input \"{}\": \"{}\" is no {}", info.name,
                                          field.substr(0, 40), DatatypeName(info.type)));
        }
      }
    }
    TRY(Conform(info, tensor, false));
    call.inputs[columns.input] = Value::Of(std::move(tensor));
    first += columns.width;
  }
  return call;
}

Result<std::string> EncodeCsv(const ModelSignature& signature, const ModelCall& call,
                              const std::vector<Value>& outputs) {
  std::vector<Tensor> columns;
  for (std::size_t i = 0; i < outputs.size(); ++i) {
    const ValueInfo& info = signature.outputs[call.outputs[i]];
    TRY(FlatOutput flat, Flatten(info, outputs[i]));
    if (flat.tensor.shape.empty()) flat.tensor.shape = {1};
    if (IsComplex(flat.tensor.type) ||
        (!columns.empty() && flat.tensor.shape[0] != columns.front().shape[0])) {
      return Fail(Code::kUnsupported,
                  fmt::format("output \"{}\" does not go into rows of CSV", info.name),
                  "Model.UnsupportedOutput");
    }
    columns.push_back(std::move(flat.tensor));
  }
  std::string out;
  const auto rows = static_cast<std::size_t>(columns.front().shape[0]);
  for (std::size_t row = 0; row < rows; ++row) {
    bool first = true;
    for (const Tensor& column : columns) {
      const std::size_t width = column.Count() / rows;
      for (std::size_t i = 0; i < width; ++i) {
        if (!std::exchange(first, false)) out += ',';
        AppendField(column, row * width + i, out);
      }
    }
    out += '\n';
  }
  return out;
}

}  // namespace samovar
