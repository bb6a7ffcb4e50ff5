#pragma once
// Table: rows of text in aligned columns.

#include <string>
#include <vector>

#include "main/terminal.h"

namespace samovar {

struct Cell {
  Cell(std::string t = {}, Ink i = Ink::kPlain) : text(std::move(t)), ink(i) {}
  Cell(const char* t) : text(t) {}
  std::string text;
  Ink ink = Ink::kPlain;
};

class Table {
 public:
  struct Column {
    std::string title;
    bool right = false;  // numbers stand at the right
  };

  explicit Table(std::vector<Column> columns) : columns_(std::move(columns)) {}
  void Add(std::vector<Cell> row);
  bool Empty() const { return rows_.empty(); }
  // One line a row, without blanks at line ends. Cells are made safe for a terminal; where `cut` is
  // set, lines are cut to the terminal's width.
  std::string Render(const Terminal& terminal, bool cut = false) const;

 private:
  std::vector<Column> columns_;
  std::vector<std::vector<Cell>> rows_;
};

}  // namespace samovar
