// samovar usage
#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "base/encoding.h"
#include "instances/prices.h"
#include "main/commands.h"
#include "main/table.h"

namespace samovar {

namespace {

std::string Whole(double number) { return fmt::format("{:.0f}", number); }

// Enough digits to see something.
std::string ShowDollars(double dollars) {
  if (dollars >= 0.01 || dollars == 0) return fmt::format("${:.2f}", dollars);
  return fmt::format("${:.7f}", dollars);
}

Result<int> Usage(const Session& session, const std::string& function) {
  TRY(ApiClient client, session.Client());
  const Prices& prices = BuiltInPrices();
  std::string target = "/samovar/v1/usage";
  if (!function.empty()) target += "?function=" + PercentEncode(function);
  TRY(boost::json::value answer, client.Json("GET", target));
  const boost::json::value& usage = JsonMember(answer, "usage");
  boost::json::array rows = usage.is_array() ? usage.as_array() : boost::json::array();
  Table table({{"FUNCTION"},
               {"VERSION"},
               {"CALLS", true},
               {"ERRORS", true},
               {"THROTTLED", true},
               {"COLD", true},
               {"MEAN MS", true},
               {"BILLED MS", true},
               {"GB-S", true},
               {"MAX MB", true},
               {"ON AWS", true}});
  double total = 0;
  for (auto& row : rows) {
    const double calls = JsonNumber(row, "invocations");
    const double price =
        PriceOf(prices, static_cast<std::uint64_t>(calls), JsonNumber(row, "gb_seconds"),
                JsonNumber(row, "storage_gb_seconds"));
    total += price;
    row.as_object()["aws_price_usd"] = price;
    const double errors = JsonNumber(row, "errors"), throttles = JsonNumber(row, "throttles");
    table.Add({JsonText(row, "function"), JsonText(row, "version"), Whole(calls),
               Cell(Whole(errors), errors > 0 ? Ink::kRed : Ink::kPlain),
               Cell(Whole(throttles), throttles > 0 ? Ink::kYellow : Ink::kPlain),
               Whole(JsonNumber(row, "cold_starts")),
               calls > 0 ? fmt::format("{:.1f}", JsonNumber(row, "duration_ms") / calls) : "",
               Whole(JsonNumber(row, "billed_ms")),
               fmt::format("{:.3f}", JsonNumber(row, "gb_seconds")),
               fmt::format("{:.0f}/{:.0f}", JsonNumber(row, "max_memory_mb"),
                           JsonNumber(row, "memory_mb")),
               ShowDollars(price)});
  }
  const std::string since = JsonText(answer, "since");
  if (session.json) {
    session.PrintJson(boost::json::object{{"since", since},
                                          {"usage", std::move(rows)},
                                          {"aws_price_usd", total},
                                          {"prices", prices.date}});
    return kExitOk;
  }
  if (table.Empty()) {
    session.Say(function.empty() ? "nothing was invoked yet"
                                 : fmt::format("no calls of {} since {}", function, since));
    return kExitOk;
  }
  session.Print(table.Render(session.out));
  session.Print(session.out.Paint(
      Ink::kDim, fmt::format("since {}; AWS Lambda would charge {} ({} prices of {}, without the "
                             "free tier)\n",
                             since, ShowDollars(total), prices.region, prices.date)));
  return kExitOk;
}

}  // namespace

void AddUsageCommand(Commands& commands) {
  CLI::App* sub = commands.Add("usage", "Calls, errors, billed time, and AWS's price for the same",
                               "  samovar usage\n"
                               "  samovar usage Hello --json | jq .aws_price_usd");
  auto name = std::make_shared<std::string>();
  sub->add_option("NAME", *name, "Only this function");
  sub->callback([&commands, name] {
    commands.run = [&commands, name] {
      return Finish(commands.session, Usage(commands.session, *name));
    };
  });
}

}  // namespace samovar
