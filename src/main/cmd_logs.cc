// samovar logs
#include <fmt/format.h>

#include <boost/json/parse.hpp>
#include <ctime>

#include "base/encoding.h"
#include "main/commands.h"

namespace samovar {

namespace {

struct Options {
  std::string name, since;
  int limit = 0;
  bool follow = false;
};

std::string LocalTime(double unix_ms) {
  const auto milliseconds = static_cast<std::int64_t>(unix_ms);
  const std::time_t seconds = milliseconds / 1000;
  std::tm local{};
  localtime_r(&seconds, &local);
  char text[32];
  std::strftime(text, sizeof text, "%m-%d %H:%M:%S", &local);
  return fmt::format("{}.{:03}", text, milliseconds % 1000);
}

std::string ShowLine(const Terminal& terminal, const boost::json::value& line) {
  std::string message = JsonText(line, "message");
  while (message.ends_with('\n')) message.pop_back();
  const std::string version = JsonText(line, "version");
  const bool platform = message.starts_with("START ") || message.starts_with("END ") ||
                        message.starts_with("REPORT ") || message.starts_with("INIT_");
  std::string where = JsonText(line, "stream").substr(0, 8);
  if (version != "$LATEST" && !version.empty()) where += ":" + version;
  // On a terminal no function may steer it; a pipe gets the bytes as they are.
  if (terminal.Interactive()) message = SafeText(message);
  return terminal.Paint(Ink::kDim, fmt::format("{} {}", LocalTime(JsonNumber(line, "timestamp")),
                                               SafeText(where))) +
         " " + terminal.Paint(platform ? Ink::kDim : Ink::kPlain, message) + "\n";
}

Result<std::string> Target(const Session& session, const Options& options) {
  std::string target = "/samovar/v1/logs/" + PercentEncode(options.name) + "?";
  if (options.limit > 0) target += fmt::format("limit={}&", options.limit);
  if (!options.since.empty()) {
    const auto back = ParseDuration(options.since);
    if (!back) return Fail(Code::kInvalid, "--since: expected a duration, e.g. 10m or 2h");
    const auto from = std::chrono::duration_cast<std::chrono::milliseconds>(
                          session.clock.Wall().time_since_epoch()) -
                      *back;
    target += fmt::format("since={}&", from.count());
  }
  if (options.follow) target += "follow=1&";
  target.pop_back();
  return target;
}

Result<int> Logs(const Session& session, const Options& options) {
  TRY(ApiClient client, session.Client());
  HttpCall call;
  TRY(call.target, Target(session, options));
  bool any = false;
  LineSplitter lines([&](std::string_view line) {
    if (line.empty()) return true;  // keeps the connection alive
    any = true;
    boost::system::error_code bad;
    const boost::json::value value = boost::json::parse(line, bad);
    session.Print(session.json || bad ? std::string(line) + "\n" : ShowLine(session.out, value));
    return std::ferror(stdout) == 0;  // whoever reads us may go away
  });
  TRY(HttpReply reply, client.Call(std::move(call), "", std::ref(lines)));
  lines.Finish();
  if (!any && !session.json)
    session.Say("no log lines; the function has not run, or not since then");
  return kExitOk;
}

}  // namespace

void AddLogsCommand(Commands& commands) {
  CLI::App* sub = commands.Add("logs", "Show what a function printed",
                               "  samovar logs Hello\n"
                               "  samovar logs Hello --follow\n"
                               "  samovar logs Hello --since 10m --json | jq -r .message");
  auto options = std::make_shared<Options>();
  options->limit = 100;
  sub->add_option("NAME", options->name, "Function")->required();
  sub->add_flag("--follow,-f", options->follow, "Go on as lines come; end with Ctrl-C");
  sub->add_option("--since,-s", options->since, "Only what is newer than this, e.g. 10m");
  sub->add_option("--limit,-n", options->limit, "At most the last N lines")
      ->capture_default_str()
      ->check(CLI::Range(1, 1'000'000));
  sub->callback([&commands, options] {
    commands.run = [&commands, options] {
      return Finish(commands.session, Logs(commands.session, *options));
    };
  });
}

}  // namespace samovar
