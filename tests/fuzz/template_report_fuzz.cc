// What a runtime says of itself as a template. Whatever comes, what is kept is small, and text.

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <boost/json/string.hpp>

#include "base/error.h"
#include "input.h"
#include "instances/template.h"

using namespace samovar;

namespace {

// Texts go out in our own API: as JSON, so they must be UTF-8.
void CheckText(const std::string& text) {
  CHECK(text.size() <= 500);
  boost::system::error_code error;
  (void)boost::json::parse(boost::json::serialize(boost::json::string(text)), error);
  CHECK(!error);
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto report = ReadTemplateReport({reinterpret_cast<const char*>(data), size});
  CHECK(report.obstacles.size() <= 16);
  for (const auto& obstacle : report.obstacles) {
    CheckText(obstacle.problem);
    CheckText(obstacle.remedy);
  }
  return 0;
}
