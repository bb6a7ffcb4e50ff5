#include "collections/checkpoint.h"

#include <cstdint>
#include <cstring>
#include <string_view>

#include "collections/checksum.h"

namespace samovar {
namespace {

constexpr std::string_view kMagic = "SMVCHK02";
constexpr std::string_view kMagicWithoutFiles = "SMVCHK01";

void PutNumber(std::string& out, std::uint64_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(value));
}

class Cursor {
 public:
  explicit Cursor(std::string_view rest) : rest_(rest) {}
  std::uint64_t Number() {
    std::uint64_t value = 0;
    const std::string_view bytes = Take(sizeof(value));
    if (good_) std::memcpy(&value, bytes.data(), sizeof(value));
    return value;
  }
  // How many things of at least `size` bytes follow.
  std::uint64_t Count(std::uint64_t size) {
    const std::uint64_t count = Number();
    good_ = good_ && count <= rest_.size() / size;
    return good_ ? count : 0;
  }
  std::string_view Take(std::uint64_t size) {
    good_ = good_ && size <= rest_.size();
    if (!good_) return {};
    const std::string_view taken = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return taken;
  }
  bool AtEnd() const { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::string AttributesPath(const std::string& folder, std::uint64_t number) {
  return folder + "/attributes-" + std::to_string(number);
}

std::string EncodeCheckpoint(const CheckpointData& checkpoint) {
  std::string out(kMagic);
  PutNumber(out, checkpoint.generation);
  PutNumber(out, checkpoint.next_number);
  PutNumber(out, checkpoint.files.size());
  for (const std::uint64_t file : checkpoint.files) PutNumber(out, file);
  PutNumber(out, checkpoint.segments.size());
  for (const SegmentState& segment : checkpoint.segments) {
    PutNumber(out, segment.number);
    PutNumber(out, segment.dead.size());
    for (std::uint64_t row : segment.dead) PutNumber(out, row);
    PutNumber(out, segment.patched.size());
    for (const auto& [row, attributes] : segment.patched) {
      PutNumber(out, row);
      PutNumber(out, attributes.size());
      out += attributes;
    }
  }
  PutNumber(out, Checksum(out));
  return out;
}

Result<CheckpointData> DecodeCheckpoint(std::string_view bytes, const std::string& name) {
  auto damaged = [&](std::string_view what) {
    return Fail(Code::kInternal, name + " is damaged at offset 0: " + std::string(what));
  };
  const bool files = bytes.starts_with(kMagic);
  if (bytes.size() < kMagic.size() + 8 || (!files && !bytes.starts_with(kMagicWithoutFiles))) {
    return damaged("it is no checkpoint of format 1 or 2");
  }
  const std::string_view hashed = bytes.substr(0, bytes.size() - 8);
  if (Cursor(bytes.substr(hashed.size())).Number() != Checksum(hashed)) {
    return damaged("the file has another checksum");
  }
  Cursor in(hashed.substr(kMagic.size()));
  CheckpointData checkpoint;
  checkpoint.generation = in.Number();
  checkpoint.next_number = in.Number();
  for (std::uint64_t left = files ? in.Count(8) : 0; left > 0; --left) {
    checkpoint.files.push_back(in.Number());
  }
  for (std::uint64_t left = in.Count(24); left > 0; --left) {
    SegmentState segment;
    segment.number = in.Number();
    for (std::uint64_t dead = in.Count(8); dead > 0; --dead) segment.dead.push_back(in.Number());
    for (std::uint64_t patched = in.Count(16); patched > 0; --patched) {
      const std::uint64_t row = in.Number();
      segment.patched.emplace_back(row, in.Take(in.Number()));
    }
    checkpoint.segments.push_back(std::move(segment));
  }
  if (!in.AtEnd()) return damaged("it ends too early or too late");
  return checkpoint;
}

}  // namespace samovar
