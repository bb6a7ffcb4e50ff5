// A search's filter, on attributes that came with a row. Lines: the filter; the attributes, an
// update.

#include "collections/attributes.h"
#include "collections/filter.h"
#include "input.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  const auto filter = Filter::Parse(input.Line());
  const auto attributes = CanonicalAttributes(input.Line());
  if (!attributes) return 0;
  CHECK(CanonicalAttributes(*attributes).has_value());
  if (filter) filter->Matches(*attributes);
  const auto patch = CanonicalAttributes(input.Rest());
  if (!patch) return 0;
  const auto merged = MergeAttributes(*attributes, *patch);
  if (!merged) return 0;
  CHECK(CanonicalAttributes(*merged).has_value());
  CHECK(MergeAttributes(*merged, *patch).value() == *merged);
  if (filter) filter->Matches(*merged);
  return 0;
}
