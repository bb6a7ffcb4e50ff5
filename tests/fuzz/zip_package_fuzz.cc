// A package that a user uploads: checked and unpacked, it writes nothing outside its directory.

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "input.h"
#include "store/unpack.h"
#include "store/zip_check.h"

using namespace samovar;
namespace fs = std::filesystem;

namespace {

fs::path MakeRoom() {
  fs::path base = fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
  std::string name = (base / "samovar-zip-fuzz-XXXXXX").string();
  CHECK(mkdtemp(name.data()) != nullptr);
  return name;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fs::path room = MakeRoom();
  static const bool removed = std::atexit([] { fs::remove_all(room); }) == 0;
  CHECK(removed);
  fs::path zip = room / "in.zip";
  fs::path tree = room / "tree";
  fs::remove_all(tree);
  fs::create_directory(tree);
  int fd = open(zip.c_str(), O_RDWR | O_CREAT | O_TRUNC, 0600);
  CHECK(fd >= 0 && write(fd, data, size) == static_cast<ssize_t>(size));
  PackageOptions options{
      .max_zip = Bytes::MiB(1), .max_unpacked = Bytes::MiB(4), .max_files = 1000};
  auto good = CheckZip(fd, size, {options.max_files, options.max_unpacked});
  close(fd);
  if (good) (void)UnpackZip(zip.string(), tree.string(), options);
  for (const auto& entry : fs::directory_iterator(room)) {
    CHECK(entry.path() == zip || entry.path() == tree);
  }
  return 0;
}
