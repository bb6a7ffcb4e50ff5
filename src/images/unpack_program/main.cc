// samovar-layer: unpacks one layer of an image into an empty folder, and prints how it went as one
// line of JSON.
//
//   samovar-layer LAYER FOLDER DIFF_ID MAX_BYTES MAX_FILES
//
// A layer is anybody's bytes, so the program gives up all but the folder before it reads the first
// of them, and ends with the server that started it.

#include <fcntl.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <cstdlib>

#include "images/layer_unpack.h"
#include "os/fd.h"
#include "os/landlock.h"

namespace samovar {
namespace {

constexpr rlim_t kMemory = 2ull << 30;

Result<UnpackedLayer> Run(char** argv) {
  const Fd layer(::open(argv[1], O_RDONLY | O_CLOEXEC));
  if (!layer) return std::unexpected(ErrnoError("open the layer"));
  const Fd folder(::open(argv[2], O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder) return std::unexpected(ErrnoError("open the layer's folder"));
  const rlimit memory{kMemory, kMemory};
  ::setrlimit(RLIMIT_AS, &memory);
  const rlimit none{0, 0};
  ::setrlimit(RLIMIT_CORE, &none);
  TRY(ConfineTo(folder.Get()));
  LayerBounds bounds;
  bounds.max_unpacked = Bytes{std::strtoull(argv[4], nullptr, 10)};
  bounds.max_files = std::strtoull(argv[5], nullptr, 10);
  return UnpackLayer(layer.Get(), folder.Get(), argv[3], bounds);
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) {
  if (argc != 6) {
    std::fputs("usage: samovar-layer LAYER FOLDER DIFF_ID MAX_BYTES MAX_FILES\n", stderr);
    return 2;
  }
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  const auto done = samovar::Run(argv);
  boost::json::object report;
  if (done) {
    report = {{"size", done->size.count}, {"files", done->files}, {"covers_all", done->covers_all}};
  } else {
    report = {{"code", static_cast<int>(done.error().code)}, {"error", done.error().message}};
  }
  std::puts(boost::json::serialize(report).c_str());
  return 0;
}
