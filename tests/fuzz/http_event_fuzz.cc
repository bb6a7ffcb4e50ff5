// An event of HTTP shape, from any caller: what becomes of it is one request, whose head no part of
// the event ends early or parts in two.

#include <boost/beast/http/verb.hpp>

#include "http_event.h"
#include "input.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto event = ReadEvent({reinterpret_cast<const char*>(data), size}, "id");
  if (!event) return 0;
  const auto clean = [](std::string_view text) {
    return text.find_first_of(std::string_view("\r\n\0", 3)) == std::string_view::npos;
  };
  CHECK(clean(event->request.method_string()) && clean(event->request.target()));
  CHECK(event->request.target().find(' ') == std::string_view::npos);
  for (const auto& field : event->request)
    CHECK(clean(field.name_string()) && clean(field.value()));
  FromProgram answer;
  answer.body().assign(reinterpret_cast<const char*>(data), size);
  (void)AnswerOf(answer, event->http);
  return 0;
}
