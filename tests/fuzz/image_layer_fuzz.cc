// A layer of a container image, from anybody: unpacked, it writes nothing outside its directory.

#include <fcntl.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>

#include "images/layer_unpack.h"
#include "input.h"
#include "os/fd.h"

using namespace samovar;
namespace fs = std::filesystem;

namespace {

fs::path MakeRoom() {
  fs::path base = fs::exists("/dev/shm") ? "/dev/shm" : fs::temp_directory_path();
  std::string name = (base / "samovar-layer-fuzz-XXXXXX").string();
  CHECK(mkdtemp(name.data()) != nullptr);
  return name;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  static const fs::path room = MakeRoom();
  static const bool removed = std::atexit([] { fs::remove_all(room); }) == 0;
  CHECK(removed);
  fs::path file = room / "layer";
  fs::path tree = room / "tree";
  fs::remove_all(tree);
  fs::create_directory(tree);
  const Fd layer(open(file.c_str(), O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  CHECK(layer && pwrite(layer.Get(), data, size, 0) == static_cast<ssize_t>(size));
  const Fd folder(open(tree.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  LayerBounds bounds{.max_unpacked = Bytes::MiB(4), .max_files = 1000};
  CHECK(!UnpackLayer(layer.Get(), folder.Get(), std::string(64, '0'), bounds));
  for (const auto& entry : fs::directory_iterator(room)) {
    CHECK(entry.path() == file || entry.path() == tree);
  }
  return 0;
}
