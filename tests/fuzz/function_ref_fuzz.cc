// Names and ARNs of functions and layers. Views must lie within the text.

#include "base/error.h"
#include "functions/function_ref.h"
#include "input.h"

using namespace samovar;

namespace {

void CheckWithin(std::string_view text, std::string_view part) {
  CHECK(part.empty() ||
        (part.data() >= text.data() && part.data() + part.size() <= text.data() + text.size()));
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  std::string_view text(reinterpret_cast<const char*>(data), size);
  if (auto ref = ParseFunctionRef(text)) {
    CHECK(!ref->name.empty());
    CheckWithin(text, ref->name);
    CheckWithin(text, ref->qualifier);
    CheckWithin(text, ref->account);
  }
  if (auto ref = ParseLayerArn(text)) CheckWithin(text, ref->name);
  CHECK(!(IsVersionNumber(text) && IsAliasName(text)));
  return 0;
}
