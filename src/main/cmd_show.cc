// samovar show
#include <fmt/format.h>
#include <fmt/ranges.h>

#include <boost/json/array.hpp>
#include <map>
#include <sstream>

#include "main/commands.h"
#include "main/progress.h"
#include "main/table.h"

namespace samovar {

namespace {

const boost::json::array& ListIn(const std::optional<boost::json::value>& answer,
                                 std::string_view member) {
  static const boost::json::array kNone;
  if (!answer) return kNone;
  const boost::json::value& list = JsonMember(*answer, member);
  return list.is_array() ? list.as_array() : kNone;
}

struct Facts {
  boost::json::value function;
  boost::json::array versions, aliases, urls;
  std::optional<boost::json::value> retries, policy, warnings, lock;
  boost::json::array templates;             // of its versions
  std::map<std::string, std::string> pins;  // by version: the generations that it keeps
};

Result<Facts> Ask(const ApiClient& client, const std::string& name) {
  Facts facts;
  TRY(facts.function, client.Json("GET", FunctionPath(name)));
  TRY(facts.versions, client.AllPages(FunctionPath(name, "/versions"), "Versions"));
  TRY(facts.aliases, client.AllPages(FunctionPath(name, "/aliases"), "Aliases"));
  TRY(facts.urls, client.AllPages(FunctionPath(name, "/urls", "2021-10-31"), "FunctionUrlConfigs"));
  TRY(facts.retries, client.JsonIfThere(FunctionPath(name, "/event-invoke-config", "2019-09-25")));
  TRY(facts.policy, client.JsonIfThere(FunctionPath(name, "/policy")));
  TRY(facts.warnings, client.JsonIfThere("/samovar/v1/warnings/" + name));
  TRY(facts.lock, client.JsonIfThere("/samovar/v1/locks/" + name));
  TRY(auto instances, client.JsonIfThere("/samovar/v1/instances"));
  const std::string function =
      JsonText(JsonMember(facts.function, "Configuration"), "FunctionName");
  for (const auto& row : ListIn(instances, "templates")) {
    if (JsonText(row, "function") == function) facts.templates.push_back(row);
  }
  TRY(const auto collections, client.AllPages("/samovar/v1/collections", "collections"));
  for (const auto& kept : collections) {
    const boost::json::value& users = JsonMember(kept, "pinned_by");
    for (const auto& user : users.is_array() ? users.as_array() : boost::json::array()) {
      const std::string_view text = user.as_string();
      if (!text.starts_with(function + ":")) continue;
      std::string& of = facts.pins[std::string(text.substr(function.size() + 1))];
      of += (of.empty() ? "" : ", ") + JsonText(kept, "name");
    }
  }
  return facts;
}

boost::json::object AsJson(const Facts& facts) {
  boost::json::object out{{"function", facts.function},
                          {"versions", facts.versions},
                          {"aliases", facts.aliases},
                          {"urls", facts.urls}};
  if (facts.retries) out["event_invoke_config"] = *facts.retries;
  if (facts.policy) out["policy"] = *facts.policy;
  out["templates"] = facts.templates;
  boost::json::object pins;
  for (const auto& [version, kept] : facts.pins) pins[version] = kept;
  out["pins"] = std::move(pins);
  if (facts.lock) out["lock"] = JsonText(*facts.lock, "lock");
  out["warnings"] = ListIn(facts.warnings, "warnings");
  return out;
}

void AddFact(std::string& out, const Terminal& terminal, const std::string& name,
             const std::string& value) {
  if (value.empty()) return;
  out += terminal.Paint(Ink::kDim, fmt::format("{:<13} ", name)) + SafeText(value) + "\n";
}

std::string Names(const boost::json::value& object) {
  std::string out;
  if (!object.is_object()) return out;
  for (const auto& field : object.as_object()) {
    out += (out.empty() ? "" : ", ") + std::string(field.key());
  }
  return out;
}

std::string Pairs(const boost::json::value& object) {
  std::string out;
  if (!object.is_object()) return out;
  for (const auto& field : object.as_object()) {
    if (!field.value().is_string()) continue;
    out += fmt::format("{}{}={}", out.empty() ? "" : ", ", std::string_view(field.key()),
                       std::string_view(field.value().as_string()));
  }
  return out;
}

// "numpy==2.1.0" of each package that a lock names: its first word a line, without hashes.
std::vector<std::string> LockedNames(const std::string& lock) {
  std::vector<std::string> names;
  std::istringstream lines(lock);
  for (std::string line; std::getline(lines, line);) {
    if (line.empty() || line.front() == ' ' || line.front() == '#' || line.front() == '-') continue;
    if (line.find("==") != line.npos || line.find(" @ ") != line.npos) {
      names.push_back(line.substr(0, line.find_first_of(" ;\\")));
    }
  }
  return names;
}

std::string Settings(const Terminal& t, const Facts& facts) {
  const boost::json::value& c = JsonMember(facts.function, "Configuration");
  std::string out = t.Paint(Ink::kBold, JsonText(c, "FunctionName")) + "\n";
  AddFact(out, t, "arn", JsonText(c, "FunctionArn"));
  AddFact(out, t, "description", JsonText(c, "Description"));
  AddFact(out, t, "runtime",
          fmt::format("{}, handler {}", JsonText(c, "Runtime"), JsonText(c, "Handler")));
  AddFact(
      out, t, "limits",
      fmt::format("{:.0f} MB, {:.0f} s, /tmp {:.0f} MB", JsonNumber(c, "MemorySize"),
                  JsonNumber(c, "Timeout"), JsonNumber(JsonMember(c, "EphemeralStorage"), "Size")));
  const boost::json::value& concurrency = JsonMember(facts.function, "Concurrency");
  if (concurrency.as_object().contains("ReservedConcurrentExecutions")) {
    AddFact(
        out, t, "concurrency",
        fmt::format("{:.0f} reserved", JsonNumber(concurrency, "ReservedConcurrentExecutions")));
  }
  const std::string reason = JsonText(c, "StateReason");
  AddFact(out, t, "state", JsonText(c, "State") + (reason.empty() ? "" : ": " + reason));
  for (const auto& warning : ListIn(facts.warnings, "warnings")) {
    AddFact(out, t, "warning", warning.is_string() ? std::string(warning.as_string()) : "");
  }
  AddFact(
      out, t, "code",
      fmt::format("{}, sha256 {}", HumanSize(static_cast<std::uint64_t>(JsonNumber(c, "CodeSize"))),
                  JsonText(c, "CodeSha256")));
  if (facts.lock) {
    const auto names = LockedNames(JsonText(*facts.lock, "lock"));
    AddFact(out, t, "built of", fmt::format("{}", fmt::join(names, ", ")));
  }
  AddFact(out, t, "changed", JsonText(c, "LastModified"));
  // Values of variables may be secrets: names only.
  AddFact(out, t, "variables", Names(JsonMember(JsonMember(c, "Environment"), "Variables")));
  for (const auto& layer : ListIn(c, "Layers")) AddFact(out, t, "layer", JsonText(layer, "Arn"));
  AddFact(out, t, "tags", Pairs(JsonMember(facts.function, "Tags")));
  for (const auto& url : facts.urls) {
    AddFact(out, t, "url",
            fmt::format("{} ({}, {})", JsonText(url, "FunctionUrl"), JsonText(url, "AuthType"),
                        JsonText(url, "InvokeMode")));
  }
  return out;
}

// How instances start, and what keeps them from being clones.
std::string Starts(const Terminal& t, const Facts& facts) {
  std::string out;
  for (const auto& row : facts.templates) {
    const std::string stage = JsonText(row, "stage");
    const std::string name = "starts " + JsonText(row, "version");
    if (stage == "clonable") {
      AddFact(out, t, name,
              fmt::format("as clones of a template of {:.0f} MB, {:.0f} of {:.0f} spares ready",
                          JsonNumber(row, "memory_mb"), JsonNumber(row, "spares"),
                          JsonNumber(row, "spares_wanted")));
    } else if (stage == "not clonable" || stage == "off") {
      AddFact(out, t, name, stage == "off" ? "afresh: clones are off" : "afresh");
    }
    if (auto failure = JsonText(row, "failure"); !failure.empty()) {
      AddFact(out, t, name, "not at all, by its last start: " + failure);
    }
    const boost::json::value& reasons = JsonMember(row, "reasons");
    if (!reasons.is_array()) continue;
    for (const auto& reason : reasons.as_array()) {
      const std::string remedy = JsonText(reason, "remedy");
      AddFact(out, t, "  because",
              JsonText(reason, "problem") + (remedy.empty() ? "" : "; to change that: " + remedy));
    }
  }
  return out;
}

// "version 2: 50 %"
std::string WeightsText(const boost::json::value& weights) {
  std::string out;
  if (!weights.is_object()) return out;
  for (const auto& [version, weight] : weights.as_object()) {
    const double share = weight.is_number() ? weight.to_number<double>() : 0;
    out += fmt::format("{}version {}: {:.4g} %", out.empty() ? "" : ", ", std::string_view(version),
                       share * 100);
  }
  return out;
}

std::string VersionsAndAliases(const Terminal& t, const Facts& facts) {
  std::string out;
  Table aliases({{"ALIAS"}, {"VERSION"}, {"ALSO"}});
  for (const auto& alias : facts.aliases) {
    const boost::json::value& weights =
        JsonMember(JsonMember(alias, "RoutingConfig"), "AdditionalVersionWeights");
    aliases.Add(
        {JsonText(alias, "Name"), JsonText(alias, "FunctionVersion"), WeightsText(weights)});
  }
  if (!aliases.Empty()) out += "\n" + aliases.Render(t);
  std::vector<Table::Column> columns{{"VERSION"}, {"CHANGED"}, {"RUNTIME"}, {"CODE", true}};
  if (!facts.pins.empty()) columns.push_back({"COLLECTIONS"});
  columns.push_back({"DESCRIPTION"});
  Table versions(std::move(columns));
  for (const auto& version : facts.versions) {
    const std::string number = JsonText(version, "Version");
    std::vector<Cell> cells{number, JsonText(version, "LastModified").substr(0, 19),
                            JsonText(version, "Runtime"),
                            HumanSize(static_cast<std::uint64_t>(JsonNumber(version, "CodeSize")))};
    if (!facts.pins.empty()) {
      const auto pins = facts.pins.find(number);
      cells.emplace_back(pins == facts.pins.end() ? "newest" : pins->second);
    }
    cells.emplace_back(JsonText(version, "Description"));
    versions.Add(std::move(cells));
  }
  if (!versions.Empty()) out += "\n" + versions.Render(t);
  return out;
}

Result<int> Show(const Session& session, const std::string& name) {
  TRY(ApiClient client, session.Client());
  TRY(Facts facts, Ask(client, name));
  if (session.json) {
    session.PrintJson(AsJson(facts));
  } else {
    session.Print(Settings(session.out, facts) + Starts(session.out, facts) +
                  VersionsAndAliases(session.out, facts));
  }
  return kExitOk;
}

}  // namespace

void AddShowCommand(Commands& commands) {
  CLI::App* sub = commands.Add("show", "Show a function: settings, versions, aliases, URL",
                               "  samovar show Hello\n"
                               "  samovar show Hello --json | jq .urls[0].FunctionUrl");
  auto name = std::make_shared<std::string>();
  sub->add_option("NAME", *name, "Function")->required();
  sub->callback([&commands, name] {
    commands.run = [&commands, name] {
      return Finish(commands.session, Show(commands.session, *name));
    };
  });
}

}  // namespace samovar
