// The head of a streamed answer, cut anywhere: the same as whole.

#include "input.h"
#include "wire/stream_prelude.h"

using namespace samovar;

namespace {

// The verdict on the bytes fed in pieces: "error", "more", or status and body.
std::string Read(std::string_view bytes, std::size_t cut) {
  StreamPrelude prelude;
  std::string body;
  for (std::size_t i = 0; i < bytes.size(); i += cut) {
    std::string_view piece = bytes.substr(i, cut);
    if (prelude.Done()) {
      body += piece;
      continue;
    }
    if (!prelude.Feed(piece)) return "error";
    if (prelude.Done()) body += prelude.Rest();
  }
  return prelude.Done() ? std::to_string(prelude.Head().status) + body : "more";
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  std::size_t cut = input.Number(1, 64);
  CHECK(Read(input.Rest(), cut) == Read(input.Rest(), input.Rest().size() + 1));
  return 0;
}
