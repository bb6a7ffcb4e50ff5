// A streamed answer as our client reads it; then what we encode from the bytes is read back whole.

#include "input.h"
#include "wire/event_stream.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  std::size_t cut = input.Number(1, 64);
  std::string_view bytes = input.Rest();
  EventStreamDecoder decoder;
  for (std::size_t i = 0; i < bytes.size(); i += cut) {
    decoder.Feed(bytes.substr(i, cut));
    while (true) {
      auto message = decoder.Next();
      if (!message) {
        i = bytes.size();
        break;
      }
      if (!*message) break;
      std::string again = EncodeEvent(**message);
      CHECK(bytes.contains(again));
    }
  }
  EventStreamDecoder own;
  own.Feed(PayloadChunkEvent(bytes));
  auto read = own.Next();
  CHECK(read && *read && (*read)->payload == bytes);
  return 0;
}
