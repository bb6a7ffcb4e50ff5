// The books in Prometheus text form.
#include <fmt/format.h>

#include <iterator>

#include "instances/books.h"

namespace samovar {
namespace {

using Labels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

void AppendEscaped(std::string& out, std::string_view value) {
  for (char c : value) {
    if (c == '\\' || c == '"') out += '\\';
    if (c == '\n') {
      out += "\\n";
    } else {
      out += c;
    }
  }
}

// `labels` without braces, e.g. `function="f"`.
void AppendHistogram(std::string& out, std::string_view name, const DurationHistogram& histogram,
                     std::string_view labels) {
  auto to = std::back_inserter(out);
  std::uint64_t total = 0;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    total += histogram.counts[i];
    if (i < DurationHistogram::kBounds.size()) {
      fmt::format_to(to, "{}_bucket{{{},le=\"{}\"}} {}\n", name, labels,
                     DurationHistogram::kBounds[i], total);
    }
  }
  fmt::format_to(to, "{}_bucket{{{},le=\"+Inf\"}} {}\n", name, labels, total);
  fmt::format_to(to, "{}_sum{{{}}} {}\n", name, labels,
                 std::chrono::duration<double>(histogram.sum).count());
  fmt::format_to(to, "{}_count{{{}}} {}\n", name, labels, total);
}

void AddTo(DurationHistogram& sum, const DurationHistogram& more) {
  for (std::size_t i = 0; i < sum.counts.size(); ++i) sum.counts[i] += more.counts[i];
  sum.sum += more.sum;
}

// `entries` maps something to an Account.
void AppendColdStarts(std::string& out, const auto& entries) {
  constexpr std::string_view kName = "samovar_cold_starts_total";
  AppendMetricHead(out, kName, "counter",
                   "Invocations that got a new instance, by how it was made.");
  for (const auto& [key, a] : entries) {
    for (auto [kind, count] : {std::pair("fresh", a.cold_starts - a.clones - a.spares),
                               std::pair("clone", a.clones), std::pair("spare", a.spares)}) {
      AppendMetric(out, kName, {{"function", a.function}, {"version", a.version}, {"kind", kind}},
                   static_cast<double>(count));
    }
  }
}

struct Counter {
  std::string_view name;
  std::string_view help;
  double (*value)(const Account&);
};

constexpr Counter kCounters[] = {
    {"samovar_throttles_total", "Invocations refused with 429.",
     [](const Account& a) { return static_cast<double>(a.throttles); }},
    {"samovar_timeouts_total", "Invocations that ran into their timeout.",
     [](const Account& a) { return static_cast<double>(a.timeouts); }},
    {"samovar_billed_seconds_total", "Billed duration.",
     [](const Account& a) { return static_cast<double>(a.billed.count()) / 1e3; }},
    {"samovar_memory_gb_seconds_total", "Configured memory times billed duration.",
     [](const Account& a) { return a.GbSeconds(); }},
};

}  // namespace

void AppendMetricHead(std::string& out, std::string_view name, std::string_view type,
                      std::string_view help) {
  fmt::format_to(std::back_inserter(out), "# HELP {0} {1}\n# TYPE {0} {2}\n", name, help, type);
}

void AppendMetric(std::string& out, std::string_view name, Labels labels, double value) {
  out += name;
  char separator = '{';
  for (const auto& [label, text] : labels) {
    out += separator;
    out += label;
    out += "=\"";
    AppendEscaped(out, text);
    out += '"';
    separator = ',';
  }
  if (labels.size() > 0) out += '}';
  fmt::format_to(std::back_inserter(out), " {}\n", value);
}

std::string Books::MetricsText() const {
  std::string out;
  AppendMetricHead(out, "samovar_invocations_total", "counter", "Invocations by outcome.");
  for (const auto& [key, a] : entries_) {
    for (auto [outcome, count] :
         {std::pair("success", a.invocations - a.errors), std::pair("error", a.errors - a.timeouts),
          std::pair("timeout", a.timeouts)}) {
      AppendMetric(out, "samovar_invocations_total",
                   {{"function", a.function}, {"version", a.version}, {"outcome", outcome}},
                   static_cast<double>(count));
    }
  }
  AppendColdStarts(out, entries_);
  for (const Counter& counter : kCounters) {
    AppendMetricHead(out, counter.name, "counter", counter.help);
    for (const auto& [key, a] : entries_) {
      AppendMetric(out, counter.name, {{"function", a.function}, {"version", a.version}},
                   counter.value(a));
    }
  }
  AppendMetricHead(out, "samovar_max_memory_bytes", "gauge", "The most memory an instance used.");
  for (const auto& [key, a] : entries_) {
    AppendMetric(out, "samovar_max_memory_bytes",
                 {{"function", a.function}, {"version", a.version}},
                 static_cast<double>(a.max_memory.count));
  }
  AppendMetricHead(out, "samovar_invoke_duration_seconds", "histogram",
                   "Duration of invocations since the server started.");
  DurationHistogram fresh, clones, spares;
  for (const auto& [key, a] : entries_) {
    AppendHistogram(out, "samovar_invoke_duration_seconds", a.durations,
                    fmt::format("function=\"{}\",version=\"{}\"", a.function, a.version));
    AddTo(fresh, a.inits);
    AddTo(clones, a.clone_inits);
    AddTo(spares, a.spare_inits);
  }
  AppendMetricHead(out, "samovar_init_duration_seconds", "histogram",
                   "What callers waited for a new instance since the server started.");
  AppendHistogram(out, "samovar_init_duration_seconds", fresh, "kind=\"fresh\"");
  AppendHistogram(out, "samovar_init_duration_seconds", clones, "kind=\"clone\"");
  AppendHistogram(out, "samovar_init_duration_seconds", spares, "kind=\"spare\"");
  return out;
}

}  // namespace samovar
