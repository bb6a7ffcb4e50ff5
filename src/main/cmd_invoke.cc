// samovar invoke
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <fstream>
#include <iostream>
#include <sstream>

#include "base/encoding.h"
#include "main/commands.h"
#include "main/json_text.h"
#include "wire/event_stream.h"

namespace samovar {

namespace {

struct Options {
  std::string name, payload, payload_file, qualifier, client_context;
  bool has_payload = false;
  bool async = false, log = false, stream = false;
};

Result<std::string> Payload(const Options& options) {
  if (options.has_payload && options.payload != "-") return options.payload;
  std::ostringstream out;
  if (!options.payload_file.empty() && options.payload_file != "-") {
    std::ifstream in(options.payload_file, std::ios::binary);
    if (!in) return Fail(Code::kInvalid, ErrnoError(options.payload_file).message);
    out << in.rdbuf();
    return out.str();
  }
  // Something piped in is the payload; a terminal or /dev/null is none.
  struct stat input{};
  const bool piped = fstat(0, &input) == 0 && (S_ISFIFO(input.st_mode) || S_ISREG(input.st_mode));
  if (piped || options.payload == "-" || options.payload_file == "-") out << std::cin.rdbuf();
  const std::string text = out.str();
  return text.empty() ? std::string("{}") : text;
}

Result<HttpCall> MakeCall(const Options& options) {
  HttpCall call;
  call.method = "POST";
  call.target = options.stream
                    ? FunctionPath(options.name, "/response-streaming-invocations", "2021-11-15")
                    : FunctionPath(options.name, "/invocations");
  if (!options.qualifier.empty()) call.target += "?Qualifier=" + PercentEncode(options.qualifier);
  TRY(call.body, Payload(options));
  call.headers.Set("Content-Type", "application/json");
  call.headers.Set("X-Amz-Invocation-Type", options.async ? "Event" : "RequestResponse");
  if (!options.async) call.headers.Set("X-Amz-Log-Type", "Tail");
  if (!options.client_context.empty()) {
    boost::system::error_code bad;
    boost::json::parse(options.client_context, bad);
    if (bad) return Fail(Code::kInvalid, "--client-context: expected a JSON object");
    call.headers.Set("X-Amz-Client-Context", Base64Encode(options.client_context));
  }
  return call;
}

// The log tail, a line at a time; REPORT and its fellows dimmed.
void SayLog(const Session& session, const std::string& log) {
  std::istringstream lines(log);
  for (std::string line; std::getline(lines, line);) {
    const bool platform = line.starts_with("START ") || line.starts_with("END ") ||
                          line.starts_with("REPORT ") || line.starts_with("INIT_");
    session.Say(session.err.Paint(platform ? Ink::kDim : Ink::kPlain, SafeText(line)));
  }
}

// What an error payload says, on one line.
std::string ErrorLine(const std::string& payload) {
  boost::system::error_code bad;
  const boost::json::value value = boost::json::parse(payload, bad);
  const std::string type = bad ? "" : JsonText(value, "errorType");
  const std::string message = bad ? "" : JsonText(value, "errorMessage");
  if (type.empty()) return message;
  return message.empty() ? type : type + ": " + message;
}

void PrintAnswer(const Session& session, const std::string& payload) {
  session.Print(payload);
  if (session.out.Interactive() && !payload.ends_with('\n')) session.Print("\n");
}

int ReportFailure(const Session& session, const std::string& kind, const std::string& payload,
                  const std::string& log, bool log_said) {
  if (!log_said) SayLog(session, log);
  session.Say(session.err.Paint(
      Ink::kRed, fmt::format("the function failed ({}): {}", kind, SafeText(ErrorLine(payload)))));
  return kExitFunctionFailed;
}

boost::json::object ReplyJson(const HttpReply& reply, const std::string& log) {
  boost::system::error_code bad;
  boost::json::value payload = boost::json::parse(reply.body, bad);
  boost::json::object out{{"StatusCode", reply.status},
                          {"ExecutedVersion", reply.headers.Get("X-Amz-Executed-Version")},
                          {"RequestId", reply.headers.Get("x-amzn-RequestId")}};
  const std::string_view error = reply.headers.Get("X-Amz-Function-Error");
  if (!error.empty()) out["FunctionError"] = error;
  if (bad) payload = boost::json::string(reply.body);
  if (!reply.body.empty()) out["Payload"] = std::move(payload);
  if (!log.empty()) out["Log"] = log;
  return out;
}

Result<int> InvokeBuffered(const Session& session, const Options& options, const ApiClient& client,
                           HttpCall call) {
  TRY(HttpReply reply, client.Call(std::move(call)));
  const std::string log =
      Base64Decode(reply.headers.Get("X-Amz-Log-Result")).value_or(std::string());
  const std::string error(reply.headers.Get("X-Amz-Function-Error"));
  if (session.json) {
    session.PrintJson(ReplyJson(reply, log));
    return error.empty() ? kExitOk : kExitFunctionFailed;
  }
  if (options.async) {
    session.Say(fmt::format("accepted, request {}", reply.headers.Get("x-amzn-RequestId")));
    return kExitOk;
  }
  PrintAnswer(session, reply.body);
  if (options.log) SayLog(session, log);
  return error.empty() ? kExitOk : ReportFailure(session, error, reply.body, log, options.log);
}

Result<int> InvokeStreaming(const Session& session, const Options& options, const ApiClient& client,
                            HttpCall call) {
  EventStreamDecoder decoder;
  std::optional<Error> broken;
  boost::json::value end;
  bool newline = true;
  const auto take = [&](std::string_view piece) {
    decoder.Feed(piece);
    for (;;) {
      auto event = decoder.Next();
      if (!event) {
        broken = event.error();
        return false;
      }
      if (!*event) return true;
      const std::string_view type = (*event)->Header(":event-type");
      if (type == "PayloadChunk") {
        session.Print((*event)->payload);
        if (!(*event)->payload.empty()) newline = (*event)->payload.back() == '\n';
      } else if (type == "InvokeComplete") {
        boost::system::error_code bad;
        end = boost::json::parse((*event)->payload, bad);
      } else {
        broken = Error{Code::kInternal, fmt::format("{}: {}", (*event)->Header(":exception-type"),
                                                    (*event)->payload)};
        return false;
      }
    }
  };
  TRY(HttpReply reply, client.Call(std::move(call), "", take));
  if (broken) return std::unexpected(*broken);
  if (session.out.Interactive() && !newline) session.Print("\n");
  if (end.is_null()) return Fail(Code::kInternal, "the answer ended too early");
  const std::string log = Base64Decode(JsonText(end, "LogResult")).value_or("");
  if (options.log) SayLog(session, log);
  const std::string error = JsonText(end, "ErrorCode");
  if (error.empty()) return kExitOk;
  return ReportFailure(session, error, JsonText(end, "ErrorDetails"), log, options.log);
}

Result<int> Invoke(const Session& session, const Options& options) {
  if (options.async && options.stream) {
    return Fail(Code::kInvalid, "--async and --stream exclude each other");
  }
  TRY(ApiClient client, session.Client());
  TRY(HttpCall call, MakeCall(options));
  if (options.stream) return InvokeStreaming(session, options, client, std::move(call));
  return InvokeBuffered(session, options, client, std::move(call));
}

}  // namespace

void AddInvokeCommand(Commands& commands) {
  CLI::App* sub = commands.Add(
      "invoke", "Call a function; its answer goes to standard output",
      "  samovar invoke Hello --payload '{\"name\": \"Ada\"}'\n"
      "  cat event.json | samovar invoke Hello --log\n"
      "  samovar invoke Hello --qualifier live --async\n"
      "  samovar invoke Chat --stream --payload-file prompt.json\n\n"
      "Without --payload and with nothing piped in, the event is {}. Exit code 1: the function "
      "failed.");
  auto options = std::make_shared<Options>();
  sub->add_option("NAME", options->name, "Function: name, ARN, or NAME:QUALIFIER")->required();
  CLI::Option* payload =
      sub->add_option("--payload,-p", options->payload, "The event, JSON (- for standard input)");
  sub->add_option("--payload-file,-f", options->payload_file, "File with the event")
      ->excludes(payload);
  sub->add_option("--qualifier,-q", options->qualifier, "Version or alias");
  sub->add_flag("--async", options->async, "Only hand the event over");
  sub->add_flag("--log,-l", options->log, "Show the log and REPORT line (standard error)");
  sub->add_flag("--stream", options->stream, "Print the answer as it comes");
  sub->add_option("--client-context", options->client_context, "JSON for context.client_context");
  sub->callback([&commands, options, payload] {
    options->has_payload = payload->count() > 0;
    commands.run = [&commands, options] {
      return Finish(commands.session, Invoke(commands.session, *options));
    };
  });
}

}  // namespace samovar
