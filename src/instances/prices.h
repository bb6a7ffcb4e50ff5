#pragma once
// Prices: what AWS would charge for the same use.
// How      From a dated data file (data/prices-2026-11.yaml) that is built in; "key: value" lines.
// Units    US dollars; GB-seconds are binary, as Lambda's are. The free tier is left out.
// Errors   kInvalid, naming the line.

#include <string>
#include <string_view>

#include "base/error.h"
#include "instances/books.h"

namespace samovar {

struct Prices {
  std::string date;          // "2026-11"
  std::string region;        // "us-east-1"
  std::string source;        // where the numbers come from
  double per_gb_second = 0;  // x86, first tier
  double per_million_requests = 0;
  double per_storage_gb_second = 0;  // /tmp above 512 MB
};

Result<Prices> ParsePrices(std::string_view yaml);
const Prices& BuiltInPrices();

double PriceOf(const Prices& prices, std::uint64_t invocations, double gb_seconds,
               double storage_gb_seconds);

}  // namespace samovar
