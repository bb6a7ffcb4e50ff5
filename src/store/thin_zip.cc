#include "store/thin_zip.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include "store/content_hash.h"
#include "store/tree_writer.h"
#include "store/zip_check.h"

namespace samovar {
namespace {

constexpr std::size_t kPiece = 256 << 10;
constexpr std::uint64_t kWorthIt = 16 << 10;  // smaller members stay in the rest
constexpr std::string_view kHead = "samovar-zip 1\n";

std::unexpected<Error> Broken(const std::string& what) {
  return Fail(Code::kUnavailable, "keep a zip thin: " + what);
}

// Gives the bytes from `at`, `size` of them, of a file.
class Range {
 public:
  Range(int fd, std::uint64_t at, std::uint64_t size) : fd_(fd), at_(at), left_(size) {}
  Result<std::string_view> Next() {
    buffer_.resize(std::min<std::uint64_t>(kPiece, left_));
    if (buffer_.empty()) return std::string_view();
    const auto n = pread(fd_, buffer_.data(), buffer_.size(), static_cast<off_t>(at_));
    if (n <= 0) return Broken("it cannot be read");
    at_ += static_cast<std::uint64_t>(n);
    left_ -= static_cast<std::uint64_t>(n);
    return std::string_view(buffer_.data(), static_cast<std::size_t>(n));
  }

 private:
  int fd_;
  std::uint64_t at_, left_;
  std::string buffer_;
};

}  // namespace

Result<void> MakeThinZip(const std::string& zip, const std::string& hash, const std::string& folder,
                         KeptFiles& kept) {
  const Fd file(open(zip.c_str(), O_RDONLY | O_CLOEXEC));
  Fd root(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  struct stat about{};
  if (!file || !root || fstat(file.Get(), &about) != 0) return Broken("it cannot be opened");
  const auto size = static_cast<std::uint64_t>(about.st_size);
  TRY(auto members, ZipMembers(file.Get(), size));
  std::ranges::sort(members, {}, &ZipMember::at);
  PackageOptions bounds;
  bounds.max_unpacked.count = size;
  TreeWriter writer(std::move(root), bounds, &kept);
  std::ofstream rest(folder + "/rest", std::ios::binary);
  std::string recipe(kHead);
  std::uint64_t at = 0;
  const auto keep_rest = [&](std::uint64_t until) -> Result<void> {
    if (until == at) return {};
    recipe += fmt::format("r {}\n", until - at);
    Range range(file.Get(), at, until - at);
    for (;;) {
      TRY(const auto bytes, range.Next());
      if (bytes.empty()) return {};
      rest.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
    }
  };
  int parts = 0;
  for (const auto& member : members) {
    if (member.size < kWorthIt || member.at < at || member.at + member.size > size) continue;
    TRY(keep_rest(member.at));
    Range range(file.Get(), member.at, member.size);
    TRY(writer.AddFile(std::to_string(parts++), false, KeptFile::kNoTime,
                       [&] { return range.Next(); }));
    recipe += fmt::format("p {}\n", member.size);
    at = member.at + member.size;
  }
  TRY(keep_rest(size));
  rest.close();
  std::ofstream out(folder + "/recipe", std::ios::binary);
  out << recipe;
  out.close();
  if (!rest || !out) return Broken("the disk is full or failing");
  TRY(writer.Finish());
  const Fd synced(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!synced || syncfs(synced.Get()) != 0) return Broken("it cannot be synced");
  TRY(auto reader, ThinZipReader::Open(folder));
  ContentHash whole;
  for (;;) {
    TRY(const auto bytes, reader.Next());
    if (bytes.empty()) break;
    whole.Update(bytes);
  }
  if (whole.Hex() != hash) return Fail(Code::kInternal, "keep a zip thin: it is another then");
  return {};
}

Result<ThinZipReader> ThinZipReader::Open(const std::string& folder) {
  ThinZipReader reader;
  reader.folder_ = folder;
  std::ifstream recipe(folder + "/recipe", std::ios::binary);
  std::string head(kHead.size(), '\0');
  if (!recipe.read(head.data(), static_cast<std::streamsize>(head.size())) || head != kHead) {
    return Broken("its recipe cannot be read");
  }
  std::string kind;
  for (std::uint64_t size = 0; recipe >> kind >> size;) {
    reader.pieces_.push_back({kind == "p", size});
    reader.size_ += size;
  }
  reader.rest_.open(folder + "/rest", std::ios::binary);
  if (!reader.rest_) return Broken("its rest cannot be read");
  return reader;
}

Result<std::string> ThinZipReader::Next() {
  if (left_ == 0) {
    if (at_ == pieces_.size()) return std::string();
    const auto& piece = pieces_[at_++];
    left_ = piece.size;
    if (piece.part)
      file_ = std::ifstream(folder_ + "/" + std::to_string(part_++), std::ios::binary);
  }
  auto& from = pieces_[at_ - 1].part ? file_ : rest_;
  std::string bytes(std::min<std::uint64_t>(kPiece, left_), '\0');
  if (!from.read(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    return Broken("a piece of it cannot be read");
  }
  left_ -= bytes.size();
  return bytes;
}

}  // namespace samovar
