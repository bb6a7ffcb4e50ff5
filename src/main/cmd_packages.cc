// samovar packages: what the server keeps of code and libraries, and by whom it is used.
#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <vector>

#include "main/commands.h"
#include "main/progress.h"
#include "main/table.h"

namespace samovar {

namespace {

constexpr std::size_t kUsersShown = 3;

std::uint64_t Count(const boost::json::value& object, std::string_view member) {
  return static_cast<std::uint64_t>(JsonNumber(object, member));
}

// "a, b, c and 17 more"; "" for nobody.
std::string Users(const boost::json::value& row) {
  const boost::json::value& users = JsonMember(row, "used_by");
  if (!users.is_array()) return "";
  std::string out;
  std::size_t shown = 0;
  for (const auto& user : users.as_array()) {
    if (!user.is_string()) continue;
    if (shown++ == kUsersShown) {
      return out + fmt::format(" and {} more", users.as_array().size() - kUsersShown);
    }
    out += (out.empty() ? "" : ", ") + std::string(user.as_string());
  }
  return out;
}

// Rows of a list, the largest first.
std::vector<boost::json::value> Sorted(const boost::json::value& answer, std::string_view member) {
  std::vector<boost::json::value> rows;
  const boost::json::value& list = JsonMember(answer, member);
  if (list.is_array()) rows.assign(list.as_array().begin(), list.as_array().end());
  std::ranges::sort(rows, [](const auto& a, const auto& b) {
    if (Count(a, "bytes") != Count(b, "bytes")) return Count(a, "bytes") > Count(b, "bytes");
    return JsonText(a, "name") + JsonText(a, "sha256") <
           JsonText(b, "name") + JsonText(b, "sha256");
  });
  return rows;
}

Cell UsersCell(const boost::json::value& row) {
  const std::string users = Users(row);
  return users.empty() ? Cell("nobody", Ink::kYellow) : Cell(users);
}

Result<int> List(const Session& session) {
  TRY(ApiClient client, session.Client());
  TRY(boost::json::value answer, client.Json("GET", "/samovar/v1/packages"));
  if (session.json) {
    session.PrintJson(answer);
    return kExitOk;
  }
  const auto packages = Sorted(answer, "packages");
  if (packages.empty()) {
    session.Say("no packages yet; deploy one: samovar deploy DIR");
    return kExitOk;
  }
  Table table({{"PACKAGE"}, {"FILES", true}, {"SIZE", true}, {"ITS OWN", true}, {"USED BY"}});
  for (const auto& row : packages) {
    table.Add({JsonText(row, "sha256").substr(0, 12), fmt::format("{}", Count(row, "files")),
               HumanSize(Count(row, "bytes")), HumanSize(Count(row, "own_bytes")), UsersCell(row)});
  }
  session.Print(table.Render(session.out));
  Table libraries({{"LIBRARY"}, {"VERSION"}, {"SIZE", true}, {"USED BY"}});
  for (const auto& row : Sorted(answer, "libraries")) {
    libraries.Add({JsonText(row, "name"), JsonText(row, "version"), HumanSize(Count(row, "bytes")),
                   UsersCell(row)});
  }
  if (!libraries.Empty()) session.Print("\n" + libraries.Render(session.out));
  const boost::json::value& kept = JsonMember(answer, "kept");
  session.Say(fmt::format("{} files, {}; without sharing {}; used by nobody {}",
                          Count(kept, "files"), HumanSize(Count(kept, "bytes")),
                          HumanSize(Count(kept, "bytes_if_not_shared")),
                          HumanSize(Count(kept, "unused_bytes"))));
  return kExitOk;
}

Result<int> Prune(const Session& session) {
  TRY(ApiClient client, session.Client());
  TRY(boost::json::value answer, client.Json("POST", "/samovar/v1/packages/prune"));
  if (session.json) {
    session.PrintJson(answer);
  } else {
    session.Say(fmt::format("freed {}", HumanSize(Count(answer, "freed_bytes"))));
  }
  return kExitOk;
}

}  // namespace

void AddPackagesCommand(Commands& commands) {
  CLI::App* sub =
      commands.Add("packages", "List the packages and libraries that are kept, once each",
                   "  samovar packages\n"
                   "  samovar packages --json | jq .libraries\n"
                   "  samovar packages prune     # remove at once what nobody uses");
  sub->require_subcommand(0, 1);
  CLI::App* prune = commands.AddVerb(
      sub, "prune", "Remove at once what no function uses; else it goes when it is an hour old",
      Prune);
  sub->callback([&commands, prune] {
    if (prune->parsed()) return;
    commands.run = [&commands] { return Finish(commands.session, List(commands.session)); };
  });
}

}  // namespace samovar
