#pragma once
// Cells: the rows of a sealed segment in the order of nearness, in cells around centres, one after
// the other. A search compares the rows of the nearest cells.
//
// Why      It costs ten microseconds a row, where a link in a graph costs some hundred: enough for
//          what is being written, until a graph is there. A graph over rows in this order is made
//          and walked faster, too.
// How      Each row goes to its nearest centre (inverted file).
//          Segments that follow each other share their centres: then a row's cell is looked for
//          once in its life, and a search ranks the centres once for all of them.
// Errors   Open, Verify: kInternal for a file that is not in its format, kNotFound for none.
// Threads  Immutable.
// Source   J. Sivic, A. Zisserman, "Video Google", ICCV 2003, for the inverted file.

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "collections/centres.h"
#include "collections/disk.h"
#include "collections/layout.h"
#include "collections/mapped_file.h"
#include "collections/vectors.h"

namespace samovar {

std::string CellsPath(const std::string& folder, std::uint64_t number);

class Cells {
 public:
  // `ends[i]`: the row behind the last one of cell i; `enough`: layout::CellsHeader. The file
  // appears whole or not at all.
  static Result<void> Write(Disk& disk, const std::string& folder, std::uint64_t number,
                            const CellCentres& centres, const std::vector<std::uint32_t>& ends,
                            std::uint32_t enough);
  static Result<std::unique_ptr<Cells>> Open(const std::string& folder, std::uint64_t number,
                                             const Schema& schema, std::uint64_t capacity,
                                             MappedFile::Access access);
  Result<void> Verify() const;

  std::size_t Count() const { return header_->cells; }
  std::uint64_t Rows() const { return header_->rows; }
  struct Range {
    std::uint64_t from = 0;
    std::uint64_t to = 0;
  };
  Range RangeOf(std::uint32_t cell) const;
  // The same for segments with the same centres, of which each has cells of its own.
  std::uint64_t CentresHash() const { return header_->centres_hash; }
  // Rows that a search compares, at least (MeasureEnough).
  std::uint64_t Enough() const { return Rows() * header_->enough / layout::kWhole; }
  std::uint32_t EnoughPart() const { return static_cast<std::uint32_t>(header_->enough); }
  CellCentres Centres(const Schema& schema) const;
  // How near each centre is. `query` is of Schema {dimension, metric, kF32}.
  void RankCentres(const QueryVector& query, std::vector<float>& ranks) const;
  std::size_t Bytes() const { return file_.Size(); }
  int File() const { return file_.File(); }

 private:
  MappedFile file_;
  const layout::CellsHeader* header_ = nullptr;
};

// The cells of several segments by their nearness to a query, the nearest first. Cells around the
// same centre come together.
class CellOrder {
 public:
  // Of Schema {dimension, metric, kF32}.
  explicit CellOrder(QueryVector query) : query_(std::move(query)) {}

  void Add(std::uint32_t segment, const Cells& cells);
  // REQUIRES: after every Add. False: there are no more. `visit` gets a segment and a Cells::Range.
  template <class Visit>
  bool Next(const Visit& visit) {
    if (heap_.empty()) return false;
    std::ranges::pop_heap(heap_, {}, &Each::rank);
    const auto [rank, group, cell] = heap_.back();
    heap_.pop_back();
    for (const auto& [segment, cells] : groups_[group].segments) {
      visit(segment, cells->RangeOf(cell));
    }
    return true;
  }
  void Sort();

 private:
  struct Group {
    std::uint64_t centres;  // their hash
    std::vector<std::pair<std::uint32_t, const Cells*>> segments;
  };
  QueryVector query_;
  std::vector<Group> groups_;
  struct Each {
    float rank;
    std::uint32_t group;
    std::uint32_t cell;
  };
  std::vector<Each> heap_;
};

}  // namespace samovar
