// Replays a trace of calls in simulated time with the server's own keep-alive policy, and counts
// cold starts and the time for which idle instances were held.
// Usage: keepalive_replay [DAYS] < TRACE     (bench/keepalive/trace.py has the format)
//        Prints one JSON document. DAYS: how often the trace's day is repeated; 1 by default.
// How      As the paper does: a function has one instance, a call takes no time (so that all idle
//          time counts), the calls of a minute are spread evenly over it, the first call is cold.
#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cstdio>
#include <cstdlib>
#include <iostream>
#include <sstream>
#include <string>
#include <vector>

#include "instances/keep_alive.h"

namespace samovar {
namespace {

namespace json = boost::json;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::nanoseconds;

constexpr minutes kDay{1440};

struct Function {
  double megabytes = 0;
  std::vector<nanoseconds> calls;  // in order
};

struct Policy {
  std::string name;
  KeepAlivePolicy policy;
};

struct Outcome {
  std::uint64_t cold = 0;
  nanoseconds wasted{0};
};

std::vector<Function> ReadTrace(std::istream& in, int days) {
  std::vector<Function> functions;
  for (std::string line; std::getline(in, line);) {
    std::istringstream words(line);
    std::string name, word;
    Function function;
    words >> name >> function.megabytes;
    std::vector<nanoseconds> day;
    while (words >> word) {
      const auto colon = word.find(':');
      const nanoseconds minute = minutes(std::stol(word.substr(0, colon)));
      const long count = std::stol(word.substr(colon + 1));
      for (long i = 0; i < count; ++i) {
        day.push_back(minute + nanoseconds(minutes(1)) * (2 * i + 1) / (2 * count));
      }
    }
    for (int i = 0; i < days; ++i) {
      for (const auto call : day) function.calls.push_back(call + kDay * i);
    }
    if (!function.calls.empty()) functions.push_back(std::move(function));
  }
  return functions;
}

// How long of a gap an idle instance was held.
nanoseconds Held(const KeepAlive& keep, nanoseconds gap) {
  const nanoseconds until = std::min<nanoseconds>(gap, keep.Window());
  return std::max(nanoseconds(0), until - keep.PrewarmAfter().value_or(milliseconds(0)));
}

bool IsCold(const KeepAlive& keep, nanoseconds gap) {
  return gap > keep.Window() || gap < keep.PrewarmAfter().value_or(milliseconds(0));
}

Outcome Replay(const Function& function, const KeepAlivePolicy& policy, int days) {
  KeepAlive keep(policy);
  Outcome outcome{.cold = 1};
  for (std::size_t i = 1; i < function.calls.size(); ++i) {
    const auto gap = function.calls[i] - function.calls[i - 1];
    outcome.cold += IsCold(keep, gap) ? 1 : 0;
    outcome.wasted += Held(keep, gap);
    keep.RecordGap(gap);
  }
  outcome.wasted += Held(keep, kDay * days - function.calls.back());
  return outcome;
}

double Percentile(std::vector<double> values, double share) {
  std::ranges::sort(values);
  const auto rank = static_cast<std::size_t>(share * static_cast<double>(values.size() - 1) + 0.5);
  return values[rank];
}

json::object Measure(const std::vector<Function>& functions, const Policy& policy, int days) {
  std::vector<double> shares;
  double cold = 0, calls = 0, hours = 0, gigabyte_hours = 0;
  for (const auto& function : functions) {
    const auto outcome = Replay(function, policy.policy, days);
    const auto count = static_cast<double>(function.calls.size());
    shares.push_back(100 * static_cast<double>(outcome.cold) / count);
    cold += static_cast<double>(outcome.cold);
    calls += count;
    const double held = std::chrono::duration<double, std::ratio<3600>>(outcome.wasted).count();
    hours += held;
    gigabyte_hours += held * function.megabytes / 1024;
  }
  return {{"policy", policy.name},
          {"cold_p50", Percentile(shares, 0.5)},
          {"cold_p75", Percentile(shares, 0.75)},
          {"cold_all", 100 * cold / calls},
          {"cold_starts", cold},
          {"idle_hours", hours},
          {"idle_gb_hours", gigabyte_hours}};
}

std::vector<Policy> Policies() {
  std::vector<Policy> all{{"none", {.fixed = milliseconds(0)}}};
  for (const int fixed : {1, 5, 10, 20, 60, 120, 240}) {
    all.push_back({"fixed " + std::to_string(fixed) + " min", {.fixed = minutes(fixed)}});
  }
  const KeepAlivePolicy learned;
  all.push_back({"learned", learned});
  auto variant = [&](std::string name, auto change) {
    KeepAlivePolicy policy = learned;
    change(policy);
    all.push_back({"learned, " + std::move(name), policy});
  };
  variant("no pre-warming", [](auto& p) { p.prewarm = false; });
  variant("standard 60 min", [](auto& p) { p.standard = minutes(60); });
  variant("after 5 gaps", [](auto& p) { p.enough_samples = 5; });
  variant("tail 95 %", [](auto& p) { p.tail = 0.95; });
  variant("tail 100 %", [](auto& p) { p.tail = 1; });
  variant("as in the paper", [](auto& p) {
    p.standard = KeepAlive::kRange;
    p.enough_samples = 2;
  });
  return all;
}

int Main(int argc, char** argv) {
  const int days = argc > 1 ? std::atoi(argv[1]) : 1;
  const auto functions = days > 0 ? ReadTrace(std::cin, days) : std::vector<Function>();
  if (functions.empty()) {
    std::fputs("usage: keepalive_replay [DAYS] < TRACE\n", stderr);
    return 2;
  }
  json::array results;
  for (const auto& policy : Policies()) results.push_back(Measure(functions, policy, days));
  std::size_t calls = 0;
  for (const auto& function : functions) calls += function.calls.size();
  std::puts(json::serialize(json::object{{"functions", functions.size()},
                                         {"calls", calls},
                                         {"days", days},
                                         {"policies", std::move(results)}})
                .c_str());
  return 0;
}

}  // namespace
}  // namespace samovar

int main(int argc, char** argv) { return samovar::Main(argc, argv); }
