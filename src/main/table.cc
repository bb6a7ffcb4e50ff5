#include "main/table.h"

#include <algorithm>

namespace samovar {

void Table::Add(std::vector<Cell> row) {
  row.resize(columns_.size());
  for (Cell& cell : row) cell.text = SafeText(cell.text);
  rows_.push_back(std::move(row));
}

std::string Table::Render(const Terminal& terminal, bool cut) const {
  std::vector<std::size_t> widths;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    std::size_t width = DisplayWidth(columns_[i].title);
    for (const auto& row : rows_) width = std::max(width, DisplayWidth(row[i].text));
    widths.push_back(width);
  }
  std::string out;
  const auto line = [&](const std::vector<Cell>& cells) {
    std::string text;
    std::size_t used = 0;
    std::size_t pending = 0;  // blanks that only matter if something follows
    for (std::size_t i = 0; i < cells.size(); ++i) {
      if (i > 0) pending += 2;
      std::string shown = cells[i].text;
      const std::size_t left =
          terminal.Width() > used + pending ? terminal.Width() - used - pending : 0;
      if (cut) shown = CutToWidth(shown, left);
      const std::size_t width = DisplayWidth(shown);
      const std::size_t pad = widths[i] > width ? widths[i] - width : 0;
      if (columns_[i].right) pending += pad;
      if (width > 0) {
        text += std::string(pending, ' ') + terminal.Paint(cells[i].ink, shown);
        used += pending + width;
        pending = 0;
      }
      if (!columns_[i].right) pending += pad;
    }
    out += text + "\n";
  };
  std::vector<Cell> titles;
  for (const Column& column : columns_) titles.push_back({column.title, Ink::kBold});
  line(titles);
  for (const auto& row : rows_) line(row);
  return out;
}

}  // namespace samovar
