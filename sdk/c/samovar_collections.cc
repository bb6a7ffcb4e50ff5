// The C interface over src/collections' reading side (include/samovar_collections.h).
#include "samovar_collections.h"

#include <sys/mman.h>

#include <cstdlib>
#include <cstring>
#include <mutex>
#include <sstream>

#include "collections/disk.h"
#include "collections/reader.h"
#include "door.h"

using samovar::Code;
using samovar::Error;
using samovar::Result;
using samovar::RowRef;
using samovar::Snapshot;

struct samovar_collection {
  std::string name;
  std::unique_ptr<samovar::CollectionReader> reader;
};

struct samovar_snapshot {
  Snapshot snapshot;
  std::vector<std::uint64_t> begins;  // row number that each segment begins with
  std::uint64_t rows = 0;
  std::mutex mutex;
  char* mapped = nullptr;
  std::size_t mapped_bytes = 0;
  char* matrix = nullptr;  // within

  ~samovar_snapshot() {
    if (mapped) ::munmap(mapped, mapped_bytes);
  }
  std::uint64_t NumberOf(RowRef row) const { return begins[row.segment] + row.row; }
  std::optional<RowRef> RowOf(std::uint64_t number) const {
    if (number >= rows) return std::nullopt;
    std::uint32_t segment = 0;
    while (segment + 1 < begins.size() && begins[segment + 1] <= number) ++segment;
    return RowRef{segment, number - begins[segment]};
  }
};

namespace {

constexpr const char* kFolder = "/var/samovar/collections";

// Where the sandbox shows the collection: in the folder of all, or in one of its own, which stands
// in SAMOVAR_COLLECTIONS where its name stands in SAMOVAR_COLLECTION_NAMES.
Result<std::string> FolderOf(const std::string& name) {
  const char* folders = std::getenv("SAMOVAR_COLLECTIONS");
  const char* names = std::getenv("SAMOVAR_COLLECTION_NAMES");
  if (!names) return std::string(folders ? folders : kFolder) + "/" + name;
  std::istringstream its_names{std::string(names)};
  std::istringstream its_folders{std::string(folders ? folders : "")};
  std::string one;
  std::string folder;
  while (std::getline(its_names, one, ':') && std::getline(its_folders, folder, ':')) {
    if (one == name) return folder;
  }
  return samovar::Fail(Code::kNotFound, "the tag samovar:collections does not name it");
}

Result<std::unique_ptr<samovar::CollectionReader>> OpenReader(const char* folder,
                                                              const std::string& name) {
  if (folder) return samovar::CollectionReader::Open(std::string(folder) + "/" + name);
  TRY(const std::string own, FolderOf(name));
  auto reader = samovar::CollectionReader::Open(own);
  // A tag may come before its collection.
  if (!reader && reader.error().code == Code::kNotFound &&
      std::getenv("SAMOVAR_COLLECTION_NAMES")) {
    reader.error().message = "the tag samovar:collections names it, but it has not been made";
  }
  return reader;
}

int Say(const Error& error, samovar_error* out) {
  if (out) {
    const std::size_t size = std::min(error.message.size(), sizeof(out->message) - 1);
    std::memcpy(out->message, error.message.data(), size);
    out->message[size] = '\0';
  }
  switch (error.code) {
    case Code::kInvalid:
    case Code::kUnsupported:
    case Code::kTooLarge:
      return SAMOVAR_INVALID;
    case Code::kNotFound:
    case Code::kDenied:
      return SAMOVAR_NOT_FOUND;
    case Code::kConflict:
      return SAMOVAR_EXPIRED;
    case Code::kTimeout:
      return SAMOVAR_TIMEOUT;
    case Code::kPrecondition:
      return SAMOVAR_READ_ONLY;
    default:
      return SAMOVAR_FAILED;
  }
}

Result<RowRef> AliveRow(const samovar_snapshot& snapshot, std::uint64_t number) {
  const auto row = snapshot.RowOf(number);
  if (row && snapshot.snapshot.Visible(*row)) return *row;
  return samovar::Fail(Code::kNotFound, "there is no row " + std::to_string(number));
}

Result<Snapshot> Take(samovar::CollectionReader& reader, std::uint64_t least, std::uint32_t wait) {
  if (least == 0) return reader.Latest();
  return reader.AtLeast(least, std::chrono::milliseconds(wait));
}

// The segments' vectors, mapped again one behind the other. Private, so that a language without
// read-only arrays may let its user write there; until then the pages are everybody's.
Result<void> MapMatrix(samovar_snapshot& snapshot) {
  const auto& segments = snapshot.snapshot.Parts().segments;
  const std::size_t row_bytes = snapshot.snapshot.Of().RowBytes();
  std::size_t total = 0;
  const samovar::Segment* largest = segments[0].get();
  std::size_t largest_at = 0;
  for (const auto& segment : segments) {
    if (segment->Capacity() > largest->Capacity()) {
      largest = segment.get();
      largest_at = total;
    }
    total += segment->Capacity() * row_bytes;
  }
  snapshot.mapped_bytes = total + samovar::kHugePage;
  void* base = ::mmap(nullptr, snapshot.mapped_bytes, PROT_NONE,
                      MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (base == MAP_FAILED) return std::unexpected(samovar::ErrnoError("map the matrix"));
  snapshot.mapped = static_cast<char*>(base);
  // So that the largest lies in memory as in its file, as huge pages want it.
  const auto shift =
      largest->Header().vectors_at - largest_at - reinterpret_cast<std::uintptr_t>(base);
  snapshot.matrix = snapshot.mapped + shift % samovar::kHugePage;
  std::size_t at = 0;
  for (const auto& segment : segments) {
    const std::size_t bytes = segment->Capacity() * row_bytes;
    if (::mmap(snapshot.matrix + at, bytes, PROT_READ, MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED,
               segment->File(), static_cast<off_t>(segment->Header().vectors_at)) == MAP_FAILED) {
      const Error error = samovar::ErrnoError("map the matrix");
      ::munmap(snapshot.mapped, snapshot.mapped_bytes);
      snapshot.mapped = snapshot.matrix = nullptr;
      return std::unexpected(error);
    }
    at += bytes;
  }
  return {};
}

}  // namespace

int samovar_collection_open(const char* folder, const char* name, samovar_collection** out,
                            samovar_error* error) {
  if (auto fits = samovar::CheckCollectionName(name); !fits) return Say(fits.error(), error);
  auto reader = OpenReader(folder, name);
  if (!reader) {
    const std::string message = std::string("there is no collection ") + name +
                                " that may be seen here (" + reader.error().message + ")";
    return Say({reader.error().code, message}, error);
  }
  *out = new samovar_collection{name, std::move(*reader)};
  return SAMOVAR_OK;
}

void samovar_collection_close(samovar_collection* collection) { delete collection; }
uint32_t samovar_collection_dimension(const samovar_collection* collection) {
  return collection->reader->Of().dimension;
}
int samovar_collection_metric(const samovar_collection* collection) {
  return static_cast<int>(collection->reader->Of().metric);
}
int samovar_collection_storage(const samovar_collection* collection) {
  return static_cast<int>(collection->reader->Of().storage);
}

int samovar_collection_write(samovar_collection* collection, const char* changes, size_t size,
                             samovar_ack* ack, samovar_error* error) {
  const auto made = samovar::WriteThroughDoor(collection->name, {changes, size});
  if (!made) return Say(made.error(), error);
  *ack = *made;
  return SAMOVAR_OK;
}

int samovar_snapshot_open(samovar_collection* collection, uint64_t min_generation, uint32_t wait_ms,
                          samovar_snapshot** out, samovar_error* error) {
  auto taken = Take(*collection->reader, min_generation, wait_ms);
  if (!taken) return Say(taken.error(), error);
  auto snapshot = std::make_unique<samovar_snapshot>();
  snapshot->snapshot = std::move(*taken);
  const auto& segments = snapshot->snapshot.Parts().segments;
  std::uint64_t begin = 0;
  for (std::size_t i = 0; i < segments.size(); ++i) {
    snapshot->begins.push_back(begin);
    snapshot->rows = begin + snapshot->snapshot.RowsOf(i);
    begin += segments[i]->Capacity();
  }
  *out = snapshot.release();
  return SAMOVAR_OK;
}

void samovar_snapshot_close(samovar_snapshot* snapshot) { delete snapshot; }
uint64_t samovar_snapshot_generation(const samovar_snapshot* snapshot) {
  return snapshot->snapshot.Generation();
}
int samovar_snapshot_check(const samovar_snapshot* snapshot, samovar_error* error) {
  const auto good = snapshot->snapshot.Check();
  return good ? SAMOVAR_OK : Say(good.error(), error);
}
uint64_t samovar_snapshot_rows(const samovar_snapshot* snapshot) { return snapshot->rows; }
int samovar_snapshot_alive(const samovar_snapshot* snapshot, uint64_t row) {
  return AliveRow(*snapshot, row).has_value() ? 1 : 0;
}

uint64_t samovar_snapshot_mask(const samovar_snapshot* snapshot, uint8_t* mask) {
  std::memset(mask, 0, snapshot->rows);
  std::uint64_t count = 0;
  for (auto row = snapshot->snapshot.Next(std::nullopt); row; row = snapshot->snapshot.Next(row)) {
    mask[snapshot->NumberOf(*row)] = 1;
    ++count;
  }
  return count;
}

int samovar_snapshot_find(const samovar_snapshot* snapshot, const char* id, size_t id_size,
                          uint64_t* row, samovar_error* error) {
  const auto found = snapshot->snapshot.Find({id, id_size});
  if (auto good = snapshot->snapshot.Check(); !good) return Say(good.error(), error);
  if (!found) {
    return Say({Code::kNotFound, "there is no row " + std::string(id, id_size)}, error);
  }
  *row = snapshot->NumberOf(*found);
  return SAMOVAR_OK;
}

int samovar_snapshot_id(const samovar_snapshot* snapshot, uint64_t row, const char** id,
                        size_t* size, samovar_error* error) {
  const auto found = AliveRow(*snapshot, row);
  if (!found) return Say(found.error(), error);
  const auto text = snapshot->snapshot.Id(*found);
  *id = text.data();
  *size = text.size();
  return SAMOVAR_OK;
}

int samovar_snapshot_attributes(const samovar_snapshot* snapshot, uint64_t row, const char** json,
                                size_t* size, samovar_error* error) {
  const auto found = AliveRow(*snapshot, row);
  if (!found) return Say(found.error(), error);
  const auto text = snapshot->snapshot.Attributes(*found);
  if (!text) return Say(text.error(), error);
  *json = text->data();
  *size = text->size();
  return SAMOVAR_OK;
}

int samovar_snapshot_vector(const samovar_snapshot* snapshot, uint64_t row, float* vector,
                            samovar_error* error) {
  const auto found = AliveRow(*snapshot, row);
  if (!found) return Say(found.error(), error);
  const auto values = snapshot->snapshot.Vector(*found);
  std::memcpy(vector, values.data(), values.size() * sizeof(float));
  return SAMOVAR_OK;
}

int samovar_snapshot_search(const samovar_snapshot* snapshot, const float* vector, size_t dimension,
                            size_t k, const char* filter, size_t filter_size, uint64_t* rows,
                            float* scores, size_t* count, samovar_error* error) {
  return samovar_snapshot_search_with(snapshot, vector, dimension, k, filter, filter_size, nullptr,
                                      rows, scores, count, error);
}

int samovar_snapshot_search_with(const samovar_snapshot* snapshot, const float* vector,
                                 size_t dimension, size_t k, const char* filter, size_t filter_size,
                                 const samovar_search* options, uint64_t* rows, float* scores,
                                 size_t* count, samovar_error* error) {
  samovar::SearchOptions how;
  if (options) how = {.exact = options->exact != 0, .candidates = options->candidates};
  samovar::Filter which;
  if (filter) {
    auto parsed = samovar::Filter::Parse({filter, filter_size});
    if (!parsed) return Say(parsed.error(), error);
    which = std::move(*parsed);
  }
  const auto hits = snapshot->snapshot.Search({vector, dimension}, k, which, how);
  if (!hits) return Say(hits.error(), error);
  for (std::size_t i = 0; i < hits->size(); ++i) {
    rows[i] = snapshot->NumberOf((*hits)[i].row);
    scores[i] = (*hits)[i].score;
  }
  *count = hits->size();
  return SAMOVAR_OK;
}

int samovar_snapshot_matrix(samovar_snapshot* snapshot, samovar_matrix* out, samovar_error* error) {
  std::lock_guard lock(snapshot->mutex);
  if (!snapshot->matrix) {
    if (auto mapped = MapMatrix(*snapshot); !mapped) return Say(mapped.error(), error);
  }
  const auto& schema = snapshot->snapshot.Of();
  *out = {.data = snapshot->matrix,
          .rows = snapshot->rows,
          .row_bytes = schema.RowBytes(),
          .columns = schema.dimension,
          .storage = static_cast<int32_t>(schema.storage)};
  return SAMOVAR_OK;
}
