// What a function answers to an HTTP request: no answer of its makes a field that breaks the
// message.

#include "input.h"
#include "wire/function_url.h"
#include "wire/log_report.h"
#include "wire/runtime_api.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view payload(reinterpret_cast<const char*>(data), size);
  UrlAnswer answer = DecodeUrlAnswer(payload);
  CHECK(answer.status >= 100 && answer.status <= 599);
  for (const auto& [name, value] : answer.headers) {
    CHECK(!name.empty() && name.find_first_of(" :\r\n") == std::string::npos);
    CHECK(value.find_first_of(std::string_view("\r\n\0", 3)) == std::string::npos);
    CHECK(!SameFieldName(name, "content-length") && !SameFieldName(name, "transfer-encoding"));
  }
  CHECK(!FunctionErrorType(payload, "Unknown").empty());
  return 0;
}
