// A request that carries a package, cut anywhere: the package and the rest are what a whole parse
// of the request gives.

#include <boost/json/parse.hpp>

#include "base/encoding.h"
#include "input.h"
#include "wire/request_json.h"
#include "wire/zip_field_extractor.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  std::size_t cut = input.Number(1, 64);
  std::string_view body = input.Rest();
  std::string zip;
  ZipFieldExtractor extractor("Code.ZipFile", Bytes::MiB(1), [&](std::string_view bytes) {
    zip += bytes;
    return Result<void>();
  });
  for (std::size_t i = 0; i < body.size(); i += cut) {
    if (!extractor.Feed(body.substr(i, cut))) return 0;
  }
  auto rest = extractor.Finish();
  if (!rest || body.empty()) return 0;

  auto whole = ParseRequestJson(body);
  CHECK(whole.has_value());
  auto left = ParseRequestJson(*rest);
  CHECK(left.has_value());
  if (!extractor.FoundZip()) {
    CHECK(zip.empty());
    return 0;
  }
  // A request that names a member twice is read by its last; the extractor reads it as it comes.
  auto* code = whole->if_object() ? whole->get_object().if_contains("Code") : nullptr;
  auto* file = code && code->is_object() ? code->get_object().if_contains("ZipFile") : nullptr;
  if (file && file->is_string()) {
    auto decoded = Base64Decode(std::string_view(file->get_string()));
    if (decoded && *decoded == zip) {
      code->get_object().erase("ZipFile");
      CHECK(*whole == *left);
    }
  }
  return 0;
}
