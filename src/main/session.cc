#include "main/session.h"

#include <fmt/format.h>

#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <sstream>

#include "main/json_text.h"

namespace samovar {

int ExitCodeOf(Code code) {
  switch (code) {
    case Code::kInvalid:
    case Code::kConflict:
    case Code::kPrecondition:
    case Code::kTooLarge:
    case Code::kUnsupported:
      return kExitUsage;
    case Code::kNotFound:
      return kExitNotFound;
    case Code::kDenied:
      return kExitDenied;
    case Code::kUnavailable:
    case Code::kTimeout:
      return kExitNoServer;
    case Code::kThrottled:
    case Code::kOverloaded:
    case Code::kInternal:
      return kExitServerError;
  }
  return kExitServerError;
}

Result<ApiClient> Session::Client() const {
  std::string url = endpoint;
  for (const char* name : {"AWS_ENDPOINT_URL_LAMBDA", "AWS_ENDPOINT_URL"}) {
    const char* value = std::getenv(name);
    if (url.empty() && value != nullptr) url = value;
  }
  if (url.empty()) url = "http://127.0.0.1:4566";
  TRY(HttpEndpoint parsed, HttpEndpoint::Parse(url));
  TRY(FoundCredentials credentials, FindCredentialsOnSystem());
  return ApiClient(std::move(parsed), std::move(credentials), clock);
}

void Session::Print(const std::string& text) const {
  if (unprinted_ != 0) return;
  errno = 0;
  const bool all = std::fwrite(text.data(), 1, text.size(), stdout) == text.size();
  if (!all || std::fflush(stdout) != 0) unprinted_ = errno == 0 ? EIO : errno;
}

void Session::PrintJson(const boost::json::value& value) const { Print(PrettyJson(value) + "\n"); }

void Session::Say(const std::string& text) const {
  std::fputs((text + "\n").c_str(), stderr);
  std::fflush(stderr);
}

int Session::Report(const Error& error) const {
  if (json) {
    Say(boost::json::serialize(boost::json::object{{"error", error.message},
                                                   {"code", std::string(CodeName(error.code))}}));
  } else {
    const std::size_t line = error.message.find('\n');
    Say(err.Paint(Ink::kRed, "samovar: " + error.message.substr(0, line)) +
        (line == std::string::npos ? "" : error.message.substr(line)));
  }
  return ExitCodeOf(error.code);
}

namespace {

// Of examples the lines that begin with `call`, and what is said below all of them.
std::string ExamplesOf(const std::string& examples, const std::string& call) {
  std::string out;
  std::istringstream lines(examples);
  for (std::string line; std::getline(lines, line);) {
    const bool example = line.starts_with("  samovar ");
    if (!example || (line + " ").starts_with("  samovar " + call + " ")) out += line + "\n";
    if (line.empty() && out == "\n") out.clear();
  }
  if (out.ends_with('\n')) out.pop_back();
  return out.starts_with("  samovar ") ? "\nExamples:\n" + out : out.empty() ? "" : "\n" + out;
}

}  // namespace

CLI::App* Commands::Add(const std::string& name, const std::string& summary,
                        const std::string& text) {
  CLI::App* sub = app.add_subcommand(name, summary);
  AddCommonOptions(sub);
  sub->footer("\nExamples:\n" + text);
  examples[sub] = text;
  return sub;
}

CLI::App* Commands::AddVerb(CLI::App* command, const std::string& name, const std::string& summary,
                            Work work) {
  CLI::App* sub = command->add_subcommand(name, summary);
  AddCommonOptions(sub);
  sub->footer(ExamplesOf(examples[command], command->get_name() + " " + name));
  sub->callback([this, work = std::move(work)] {
    run = [this, work] { return Finish(session, work(session)); };
  });
  return sub;
}

void Commands::AddCommonOptions(CLI::App* sub) {
  sub->add_flag("--json", session.json, "Print JSON")->group("Common");
  sub->add_option("--endpoint", session.endpoint,
                  "The server (default: $AWS_ENDPOINT_URL, else http://127.0.0.1:4566)")
      ->group("Common");
}

int Finish(const Session& session, const Result<int>& result) {
  return result ? *result : session.Report(result.error());
}

}  // namespace samovar
