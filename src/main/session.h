#pragma once
// Session: what every command works with: the streams, the common options, the server.

#include <CLI/App.hpp>
#include <boost/json/value.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "base/clock.h"
#include "main/api_client.h"
#include "main/terminal.h"

namespace samovar {

// Exit codes, as docs/cli.md promises them to scripts. A file of this machine that is not there is
// kExitUsage; kExitNotFound is for what the server has not got.
enum ExitCode : int {
  kExitOk = 0,
  kExitFunctionFailed = 1,
  kExitUsage = 2,
  kExitNoServer = 3,
  kExitNotFound = 4,
  kExitDenied = 5,
  kExitServerError = 6,
};
int ExitCodeOf(Code code);

struct Session {
  Terminal out = Terminal::Of(1);
  Terminal err = Terminal::Of(2);
  SystemClock clock;
  bool json = false;
  std::string endpoint;

  // --endpoint, AWS_ENDPOINT_URL_LAMBDA, AWS_ENDPOINT_URL, http://127.0.0.1:4566.
  Result<ApiClient> Client() const;
  void Print(const std::string& text) const;  // standard output; Unprinted() says what failed
  // The errno of standard output once it took something no more; 0.
  int Unprinted() const { return unprinted_; }
  void PrintJson(const boost::json::value& value) const;
  void Say(const std::string& text) const;  // standard error, a line
  int Report(const Error& error) const;     // prints it; the exit code

 private:
  mutable int unprinted_ = 0;
};

// One subcommand: parsed options in `options`, run by `run`.
struct Commands {
  using Work = std::function<Result<int>(const Session&)>;

  CLI::App& app;
  Session& session;
  std::function<int()> run;  // set by the subcommand that was given
  std::map<const CLI::App*, std::string> examples = {};

  // A subcommand with the common options; `examples` ends its help.
  CLI::App* Add(const std::string& name, const std::string& summary, const std::string& examples);
  // One of its own, as "create" of "collections": the same options, its part of the examples.
  CLI::App* AddVerb(CLI::App* command, const std::string& name, const std::string& summary,
                    Work work);

 private:
  void AddCommonOptions(CLI::App* sub);
};

// Runs `work`, reporting its error.
int Finish(const Session& session, const Result<int>& result);

}  // namespace samovar
