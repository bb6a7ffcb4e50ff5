#include "instances/prices.h"

#include <charconv>
#include <map>

#include "instances/price_data.h"

namespace samovar {
namespace {

std::string_view Trim(std::string_view text) {
  auto from = text.find_first_not_of(" \t\r");
  if (from == std::string_view::npos) return {};
  return text.substr(from, text.find_last_not_of(" \t\r") - from + 1);
}

Result<std::map<std::string, std::string, std::less<>>> ParseLines(std::string_view yaml) {
  std::map<std::string, std::string, std::less<>> fields;
  for (int number = 1; !yaml.empty(); ++number) {
    auto end = yaml.find('\n');
    auto line = Trim(yaml.substr(0, end));
    yaml = end == std::string_view::npos ? std::string_view() : yaml.substr(end + 1);
    if (line.empty() || line.starts_with('#')) continue;
    auto colon = line.find(':');
    if (colon == std::string_view::npos) {
      return Fail(Code::kInvalid, "line " + std::to_string(number) + ": expected \"key: value\"");
    }
    fields[std::string(Trim(line.substr(0, colon)))] = Trim(line.substr(colon + 1));
  }
  return fields;
}

}  // namespace

Result<Prices> ParsePrices(std::string_view yaml) {
  TRY(auto fields, ParseLines(yaml));
  Prices prices;
  prices.date = fields["date"];
  prices.region = fields["region"];
  prices.source = fields["source"];
  struct Number {
    std::string_view key;
    double& value;
  };
  for (auto [key, value] : {Number{"per_gb_second", prices.per_gb_second},
                            Number{"per_million_requests", prices.per_million_requests},
                            Number{"per_storage_gb_second", prices.per_storage_gb_second}}) {
    auto at = fields.find(key);
    if (at == fields.end()) return Fail(Code::kInvalid, std::string(key) + " is missing");
    const std::string& text = at->second;
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
    if (error != std::errc() || end != text.data() + text.size() || !(value >= 0)) {
      return Fail(Code::kInvalid, std::string(key) + ": expected a price, got \"" + text + '"');
    }
  }
  return prices;
}

const Prices& BuiltInPrices() {
  static const Prices prices = [] {
    auto parsed = ParsePrices(kPriceData);
    CHECK(parsed.has_value());
    return *parsed;
  }();
  return prices;
}

double PriceOf(const Prices& prices, std::uint64_t invocations, double gb_seconds,
               double storage_gb_seconds) {
  return prices.per_gb_second * gb_seconds +
         prices.per_million_requests * static_cast<double>(invocations) / 1e6 +
         prices.per_storage_gb_second * storage_gb_seconds;
}

}  // namespace samovar
