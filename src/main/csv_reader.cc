#include "main/csv_reader.h"

namespace samovar {

int CsvReader::Get() {
  const int c = in_.get();
  if (c >= 0) ++offset_;
  if (c == '\n') ++next_line_;
  return c;
}

std::unexpected<Error> CsvReader::Wrong(const std::string& what) const {
  return Fail(Code::kInvalid, path_ + ":" + std::to_string(line_) + ": " + what);
}

Result<std::optional<std::vector<std::string>>> CsvReader::Next() {
  std::vector<std::string> cells;
  std::string cell;
  bool quoted = false;
  line_ = next_line_;
  if (offset_ == 0 && in_.peek() == 0xef) {  // a byte order mark
    for (int i = 0; i < 3; ++i) Get();
  }
  if (in_.peek() < 0) return std::optional<std::vector<std::string>>();
  while (true) {
    const int c = Get();
    if (c == '"' && !quoted) {
      if (!cell.empty()) return Wrong("a quote in the middle of a cell");
      quoted = true;
      for (int in = Get();; in = Get()) {
        if (in < 0) return Wrong("a quote is not closed");
        if (in == '"' && in_.peek() != '"') break;
        if (in == '"') Get();
        cell += static_cast<char>(in);
      }
    } else if (c == ',' || c == '\n' || c < 0) {
      if (c != ',' && !quoted && cell.ends_with('\r')) cell.pop_back();
      cells.push_back(std::move(cell));
      cell.clear();
      quoted = false;
      if (c != ',') return cells;
    } else if (c != '\r' || !quoted) {
      if (quoted) return Wrong("something follows a closing quote");
      cell += static_cast<char>(c);
    }
  }
}

}  // namespace samovar
