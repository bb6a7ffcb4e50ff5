// A collection's log file, its batches, and its checkpoint. First byte: which of them, and whether
// the file is the last. A log that is read must be whole up to where it says.

#include "collections/batch.h"
#include "collections/checkpoint.h"
#include "collections/log.h"
#include "collections/manifest.h"
#include "input.h"

using namespace samovar;

namespace {

const Schema kSchema{3, Metric::kL2, Storage::kF32};

std::uint64_t ReadAll(std::string_view bytes, bool last) {
  std::uint64_t expected = 1;
  auto visit = [](std::uint64_t, std::string_view body) -> Result<void> {
    return ReadBatch(kSchema, body, [](const Change& change) -> Result<void> {
      CHECK(!change.id.empty());
      return {};
    });
  };
  auto size = ReadLogBytes(bytes, "log-1", last, expected, visit);
  if (!size) return 0;
  CHECK(*size <= bytes.size());
  CHECK(last || bytes.substr(*size).find_first_not_of('\0') == bytes.npos);
  return *size;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const std::size_t kind = input.Number(0, 3);
  const std::string_view rest = input.Rest();
  if (kind <= 1) {
    const std::uint64_t whole = ReadAll(rest, kind == 0);
    if (whole > 0) CHECK(ReadAll(rest.substr(0, whole), false) == whole);
  } else if (kind == 2) {
    auto checkpoint = DecodeCheckpoint(rest, "checkpoint");
    // One of the format before comes back in this one.
    if (checkpoint && rest.starts_with("SMVCHK02")) CHECK(EncodeCheckpoint(*checkpoint) == rest);
  } else {
    auto ignored = ReadBatch(kSchema, rest, [](const Change&) -> Result<void> { return {}; });
    (void)ignored;
    auto manifest = DecodeManifest(rest, "manifest");
    if (manifest) CHECK(EncodeManifest(*manifest) == rest);
  }
  return 0;
}
