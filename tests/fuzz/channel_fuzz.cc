// Frames from a runtime, cut anywhere. What is read and written again is what came.

#include <vector>

#include "input.h"
#include "wire/channel.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  std::size_t cut = input.Number(1, 64);
  std::string_view bytes = input.Rest();
  FrameDecoder decoder(1 << 20);
  std::string again;
  std::size_t whole = 0;
  for (std::size_t i = 0; i < bytes.size(); i += cut) {
    decoder.Feed(bytes.substr(i, cut));
    while (true) {
      auto frame = decoder.Next();
      if (!frame) return 0;
      if (!*frame) break;
      whole += 8 + (*frame)->meta.size() + (*frame)->payload.size();
      (void)DecodeInvokeMeta((*frame)->meta);
      std::string head;
      std::vector<std::string_view> fields;
      for (std::size_t k = 0; k < 8; ++k) fields.push_back(MetaField((*frame)->meta, k));
      CHECK(EncodeFrameHead(head, (*frame)->type, fields, (*frame)->payload.size()).has_value() ||
            (*frame)->meta.size() > 60'000);
    }
  }
  CHECK(whole + decoder.Buffered() == bytes.size());
  return 0;
}
