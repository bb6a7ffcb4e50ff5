// samovar top
#include <fmt/format.h>
#include <poll.h>
#include <termios.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <csignal>
#include <map>

#include "main/commands.h"
#include "main/table.h"

namespace samovar {

namespace {

volatile std::sig_atomic_t interrupted = 0;

// Keys come one by one and unseen; the cursor is hidden. Undone when it goes.
class RawScreen {
 public:
  RawScreen() {
    raw_ = tcgetattr(0, &before_) == 0;
    if (raw_) {
      termios now = before_;
      now.c_lflag &= ~static_cast<tcflag_t>(ICANON | ECHO);
      tcsetattr(0, TCSANOW, &now);
    }
    std::fputs("\x1b[?1049h\x1b[?25l", stdout);
    std::signal(SIGINT, [](int) { interrupted = 1; });
    std::signal(SIGTERM, [](int) { interrupted = 1; });
  }
  ~RawScreen() {
    std::fputs("\x1b[?25h\x1b[?1049l", stdout);
    std::fflush(stdout);
    if (raw_) tcsetattr(0, TCSANOW, &before_);
  }
  RawScreen(const RawScreen&) = delete;

  // Waits; true when the user wants to go.
  bool Wait(int milliseconds) const {
    pollfd input{.fd = raw_ ? 0 : -1, .events = POLLIN, .revents = 0};
    if (poll(&input, 1, milliseconds) <= 0) return interrupted != 0;
    char key = 0;
    return read(0, &key, 1) <= 0 || key == 'q' || key == 'Q' || key == 3;
  }

 private:
  termios before_{};
  bool raw_ = false;
};

struct Row {
  int starting = 0, idle = 0, busy = 0, spares = 0;
  bool has_template = false;
  double memory = 0, calls = 0, errors = 0, throttles = 0, cold = 0, duration = 0;
};

struct Sample {
  SteadyTime at;
  boost::json::value instances;
  std::map<std::string, Row> rows;
};

Result<Sample> Take(const ApiClient& client, const Clock& clock) {
  Sample sample{.at = clock.Now(), .instances = nullptr, .rows = {}};
  TRY(sample.instances, client.Json("GET", "/samovar/v1/instances"));
  TRY(boost::json::value usage, client.Json("GET", "/samovar/v1/usage"));
  const boost::json::value& list = JsonMember(sample.instances, "instances");
  if (list.is_array()) {
    for (const auto& instance : list.as_array()) {
      Row& row = sample.rows[JsonText(instance, "function")];
      const std::string state = JsonText(instance, "state");
      if (state == "template") {
        row.has_template = true;
      } else {
        ++(state == "busy"    ? row.busy
           : state == "idle"  ? row.idle
           : state == "spare" ? row.spares
                              : row.starting);
      }
      row.memory += JsonNumber(instance, "memory_mb");
    }
  }
  const boost::json::value& accounts = JsonMember(usage, "usage");
  if (accounts.is_array()) {
    for (const auto& account : accounts.as_array()) {
      Row& row = sample.rows[JsonText(account, "function")];
      row.calls += JsonNumber(account, "invocations");
      row.errors += JsonNumber(account, "errors");
      row.throttles += JsonNumber(account, "throttles");
      row.cold += JsonNumber(account, "cold_starts");
      row.duration += JsonNumber(account, "duration_ms");
    }
  }
  return sample;
}

std::string Number(double value, const char* unit = "") {
  return fmt::format("{:.0f}{}", value, unit);
}

// Rates need a sample from before; without one the totals stand alone.
std::string Show(const Session& session, const Sample& now, const Sample* before) {
  Table table({{"FUNCTION"},
               {"BUSY", true},
               {"IDLE", true},
               {"STARTING", true},
               {"SPARES", true},
               {"TEMPLATE"},
               {"MB", true},
               {"CALLS/S", true},
               {"MEAN MS", true},
               {"CALLS", true},
               {"ERRORS", true},
               {"THROTTLED", true},
               {"COLD", true}});
  const double seconds =
      before == nullptr ? 0 : std::chrono::duration<double>(now.at - before->at).count();
  for (const auto& [name, row] : now.rows) {
    const auto found = before == nullptr ? now.rows.end() : before->rows.find(name);
    const Row old = before == nullptr || found == before->rows.end() ? Row() : found->second;
    const double calls = row.calls - (before == nullptr ? 0 : old.calls);
    const double duration = row.duration - (before == nullptr ? 0 : old.duration);
    table.Add(
        {name, Cell(Number(row.busy), row.busy > 0 ? Ink::kGreen : Ink::kPlain), Number(row.idle),
         Number(row.starting), Number(row.spares), row.has_template ? "yes" : "-",
         Number(row.memory), seconds > 0 ? fmt::format("{:.1f}", calls / seconds) : "",
         calls > 0 ? fmt::format("{:.1f}", duration / calls) : "", Number(row.calls),
         Cell(Number(row.errors), row.errors > old.errors ? Ink::kRed : Ink::kPlain),
         Cell(Number(row.throttles), row.throttles > old.throttles ? Ink::kYellow : Ink::kPlain),
         Number(row.cold)});
  }
  const std::string head = fmt::format("memory {} of {} MB, {} waiting",
                                       Number(JsonNumber(now.instances, "memory_used_mb")),
                                       Number(JsonNumber(now.instances, "memory_budget_mb")),
                                       Number(JsonNumber(now.instances, "queued")));
  return session.out.Paint(Ink::kBold, head) + "\n\n" +
         table.Render(session.out, session.out.Interactive());
}

boost::json::object AsJson(const Sample& sample) {
  boost::json::array functions;
  for (const auto& [name, row] : sample.rows) {
    functions.push_back(boost::json::object{{"function", name},
                                            {"busy", row.busy},
                                            {"idle", row.idle},
                                            {"starting", row.starting},
                                            {"spares", row.spares},
                                            {"template", row.has_template},
                                            {"memory_mb", row.memory},
                                            {"invocations", row.calls},
                                            {"errors", row.errors},
                                            {"throttles", row.throttles},
                                            {"cold_starts", row.cold}});
  }
  return {{"functions", std::move(functions)},
          {"memory_budget_mb", JsonNumber(sample.instances, "memory_budget_mb")},
          {"memory_used_mb", JsonNumber(sample.instances, "memory_used_mb")},
          {"queued", JsonNumber(sample.instances, "queued")}};
}

Result<int> Top(const Session& session, double interval) {
  TRY(ApiClient client, session.Client());
  TRY(Sample now, Take(client, session.clock));
  if (session.json || !session.out.Interactive()) {
    if (session.json) {
      session.PrintJson(AsJson(now));
    } else {
      session.Print(Show(session, now, nullptr));
    }
    return kExitOk;
  }
  const RawScreen screen;
  Sample before = now;
  bool first = true;
  for (;;) {
    session.Print("\x1b[H" + Show(session, now, first ? nullptr : &before) + "\n" +
                  session.out.Paint(Ink::kDim, "q ends") + "\x1b[J");
    if (screen.Wait(static_cast<int>(interval * 1000))) return kExitOk;
    before = std::move(now);
    first = false;
    TRY(now, Take(client, session.clock));
  }
}

}  // namespace

void AddTopCommand(Commands& commands) {
  CLI::App* sub = commands.Add("top", "Watch instances, memory and traffic live",
                               "  samovar top\n"
                               "  samovar top --json      # one sample");
  auto interval = std::make_shared<double>(2.0);
  sub->add_option("--interval", *interval, "Seconds between looks")
      ->capture_default_str()
      ->check(CLI::Range(0.2, 3600.0));
  sub->callback([&commands, interval] {
    commands.run = [&commands, interval] {
      return Finish(commands.session, Top(commands.session, *interval));
    };
  });
}

}  // namespace samovar
