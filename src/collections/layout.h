#pragma once
// Layout: what the writer shares with readers in other processes, as bytes
// (docs/formats/collections.md).
//
// Why      Readers map files read-only and write nothing anywhere, so that a hostile, frozen or
//          dead one can harm nobody. All that changes under them is an atomic word.
// Units    offsets from the start of the file, bytes; generations count from 1, 0 is none.
// Threads  One writer, any number of readers: a row is written whole before the generation that
//          shows it is stored (release) in the control page.

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace samovar::layout {

inline constexpr std::uint32_t kVersion = 1;
inline constexpr std::size_t kPage = 4096;
inline constexpr std::size_t kRowAlignment = 32;     // of a vector, so that kernels have no tails
inline constexpr std::size_t kCheckBlock = 1 << 20;  // one checksum each
inline constexpr unsigned kPatchBits = 24;           // of an offset within a patch file
inline constexpr std::size_t kPatchFile = std::size_t{1} << kPatchBits;

inline constexpr char kControlMagic[9] = "SMVCTL01";
inline constexpr char kSegmentMagic[9] = "SMVSEG01";
inline constexpr char kManifestMagic[9] = "SMVMAN02";
inline constexpr char kCellsMagic[9] = "SMVCEL03";
inline constexpr char kGraphMagic[9] = "SMVGRF02";
inline constexpr char kOldGraphMagic[9] = "SMVGRF01";

using Word = std::atomic<std::uint64_t>;
static_assert(Word::is_always_lock_free && sizeof(Word) == 8);

enum class State : std::uint64_t { kOpening = 0, kOpen = 1, kDeleted = 2 };

// `control`: one page, the only file that is looked at again and again.
struct Control {
  char magic[8];
  std::uint32_t version;
  std::uint32_t dimension;
  std::uint8_t metric;
  std::uint8_t storage;
  std::uint8_t reserved[6];
  alignas(64) Word generation;  // the newest that is visible
  Word rows;                    // that it has
  Word manifest;                // the number of the newest manifest
  Word expired;                 // views of manifests below this one no longer hold
  Word state;
};
static_assert(sizeof(Control) <= kPage);

// The first page of `segment-N`.
struct SegmentHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t dimension;
  std::uint8_t storage;
  std::uint8_t open;  // 1: rows are still added; it is of this run of the server only
  std::uint8_t reserved[6];
  std::uint64_t number;
  std::uint64_t rows;  // of an open one: room for so many
  std::uint64_t row_bytes;
  std::uint64_t hash_seed;
  std::uint64_t slots;  // a power of two
  std::uint64_t rows_at;
  std::uint64_t facts_at;
  std::uint64_t slots_at;
  std::uint64_t vectors_at;  // at a page
  std::uint64_t heap_at;
  std::uint64_t heap_bytes;
  std::uint64_t checks_at;  // 0 where open: one checksum a block of [kPage, checks_at)
  std::uint64_t checks_hash;
  std::uint64_t header_hash;  // of the header up to here
};
static_assert(sizeof(SegmentHeader) <= kPage);

struct Row {
  Word born;  // the generation that brought it; 0: nothing here yet
  std::uint64_t id_at;
  std::uint64_t attributes_at;
  std::uint32_t id_size;
  std::uint32_t attributes_size;
};
static_assert(sizeof(Row) == 32);

struct Facts {
  float inverse_norm;  // of the vector as stored; 0 for a zero vector
  float scale;         // a value is scale times what is stored (i8; otherwise 1)
};
static_assert(sizeof(Facts) == 8);

// A slot of a segment's hash table: the id's hash in the upper half, row + 1 in the lower; 0: free.
using Slot = Word;

// `live-N-E`: what still changes of a row of segment N.
struct Live {
  Word dead;   // the generation that took it away; 0: none
  Word patch;  // the newest PatchRecord of its attributes: file << kPatchBits | offset; 0: none
};
static_assert(sizeof(Live) == 16);

// In `patch-N`, followed by the attributes. At 8 bytes each.
struct PatchRecord {
  std::uint64_t generation;
  std::uint64_t previous;
  std::uint64_t size;
};

// `manifest-M`: which segments make up the collection, oldest first; then as many ManifestEntry,
// then a u64 hash of all before it. Never changed once it has its name.
struct Manifest {
  char magic[8];
  std::uint64_t number;
  std::uint64_t first_generation;  // it can show no generation below
  std::uint64_t count;
};
struct ManifestEntry {
  std::uint64_t segment;
  std::uint64_t live;   // E of live-N-E
  std::uint64_t files;  // 1: graph-N is there; 2: cells-N
};

inline constexpr std::uint32_t kWhole = 1 << 16;
// The first page of `cells-N`: which rows of segment N lie around which centre. The rows of a cell
// follow each other, and so do the cells.
struct CellsHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t cells;
  std::uint64_t segment;
  std::uint64_t rows;
  std::uint64_t centres_at;  // of floats, as a vector of f32 is stored; before them, from
                             // kPage on, u32[cells]: the row behind the last of each
  std::uint64_t facts_at;    // Facts[cells], to the end of the file
  std::uint64_t enough;      // a search compares so many rows of kWhole, at least
  std::uint64_t centres_hash;
  std::uint64_t body_hash;    // of all from kPage on
  std::uint64_t header_hash;  // of the header up to here
};
static_assert(sizeof(CellsHeader) <= kPage);

// The first page of `graph-N`: a graph of near rows over segment N, for search. What follows is
// codes of the rows (codes.h), then links, each to a row (level 0) or to a node of the same level;
// kNoLink fills up.
inline constexpr std::uint32_t kNoLink = 0xffffffff;
inline constexpr std::uint32_t kLinks = 32;       // of a row
inline constexpr std::uint32_t kUpperLinks = 16;  // of a node of a level above
inline constexpr std::size_t kMaxLevels = 10;     // above level 0
struct CodeFacts {
  float factor;  // a product of codes is this much of one of rows (cosine: of length 1)
  float square;  // of the row's length (l2; else 0)
};
static_assert(sizeof(CodeFacts) == 8);
struct GraphNode {
  std::uint32_t row;
  std::uint32_t below;  // the node of the same row in the level below; at level 1: the row
  std::uint32_t links[kUpperLinks];
};
// How many rows a walk has to keep for a query, by how near the tenth is that a walk of width[0]
// finds: width[i] is enough for what is nearer than border[i]; the last one is for all others.
inline constexpr std::size_t kAdviceSteps = 4;
inline constexpr std::uint32_t kMostAdvised = 4096;
struct GraphAdvice {
  std::uint32_t steps;
  std::uint32_t width[kAdviceSteps];  // rising
  float border[kAdviceSteps];
  float found;  // of the ten nearest in the sample, so
  std::uint32_t reserved[2];
  std::uint64_t hash;  // of the advice up to here
};
struct GraphLevel {
  std::uint64_t at;  // GraphNode[count]
  std::uint64_t count;
};
struct GraphHeader {
  char magic[8];
  std::uint32_t version;
  std::uint32_t levels;  // above level 0; a search begins at node 0 of the topmost, or at row 0
  std::uint64_t segment;
  std::uint64_t rows;
  std::uint64_t codes_at;    // code_bytes for each row; 0: the segment's rows are their codes (i8)
  std::uint64_t code_bytes;  // from one code to the next; 0: there are no codes and no facts
  std::uint64_t facts_at;    // CodeFacts for each row; behind the codes
  std::uint64_t codes_hash;  // of all from kPage to facts_at
  std::uint64_t facts_hash;  // from there to links_at
  std::uint64_t links_at;    // at a page; kLinks for each row
  GraphLevel level[kMaxLevels];
  std::uint64_t links_hash;
  std::uint64_t upper_at;  // all levels, to the end of the file
  std::uint64_t upper_hash;
  std::uint64_t header_hash;  // of the header up to here
  GraphAdvice advice;         // zeros: none
};
static_assert(sizeof(GraphHeader) <= kPage);

}  // namespace samovar::layout
