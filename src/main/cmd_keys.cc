// samovar keys create|list|delete
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <filesystem>

#include "base/encoding.h"
#include "gateway/key_store.h"
#include "main/commands.h"
#include "main/offline_store.h"
#include "main/table.h"

namespace samovar {

namespace {

struct Options {
  std::string description, id, data_dir;
};

int PrintKey(const Session& session, const std::string& id, const std::string& secret) {
  if (session.json) {
    session.PrintJson(boost::json::object{{"access_key_id", id}, {"secret_access_key", secret}});
    return kExitOk;
  }
  session.Print(
      fmt::format("export AWS_ACCESS_KEY_ID={}\nexport AWS_SECRET_ACCESS_KEY={}\n", id, secret));
  session.Say("The secret is shown only now. From here on every request must be signed.");
  return kExitOk;
}

Result<int> Create(const Session& session, const Options& options) {
  if (!options.data_dir.empty()) {
    TRY(AccessKey key, CreateKeyOffline(options.data_dir, options.description, session.clock));
    return PrintKey(session, key.id, key.secret);
  }
  TRY(ApiClient client, session.Client());
  TRY(boost::json::value made,
      client.Json("POST", "/samovar/v1/keys",
                  boost::json::object{{"description", options.description}}));
  return PrintKey(session, JsonText(made, "access_key_id"), JsonText(made, "secret_access_key"));
}

Result<int> List(const Session& session) {
  TRY(ApiClient client, session.Client());
  TRY(boost::json::value answer, client.Json("GET", "/samovar/v1/keys"));
  if (session.json) {
    session.PrintJson(answer);
    return kExitOk;
  }
  const boost::json::value& keys = JsonMember(answer, "keys");
  Table table({{"ACCESS KEY"}, {"CREATED"}, {"DESCRIPTION"}});
  if (keys.is_array()) {
    for (const auto& key : keys.as_array()) {
      table.Add(
          {JsonText(key, "access_key_id"), JsonText(key, "created"), JsonText(key, "description")});
    }
  }
  if (table.Empty()) {
    session.Say("no keys: on loopback any signature is accepted; make one: samovar keys create");
    return kExitOk;
  }
  session.Print(table.Render(session.out));
  return kExitOk;
}

Result<int> Delete(const Session& session, const Options& options) {
  TRY(ApiClient client, session.Client());
  TRY(boost::json::value gone,
      client.Json("DELETE", "/samovar/v1/keys/" + PercentEncode(options.id)));
  if (session.json) {
    session.PrintJson(boost::json::object{{"deleted", options.id}});
  } else {
    session.Say("deleted " + options.id);
  }
  return kExitOk;
}

}  // namespace

void AddKeysCommand(Commands& commands) {
  CLI::App* sub =
      commands.Add("keys", "Access keys: create, list, delete",
                   "  samovar keys create --description ci\n"
                   "  samovar keys create --data-dir /var/lib/samovar   # before the server runs\n"
                   "  samovar keys list\n"
                   "  samovar keys delete AKIA...\n\n"
                   "Once a key exists, every request must be signed with one.");
  sub->require_subcommand(1);
  auto options = std::make_shared<Options>();
  CLI::App* create =
      commands.AddVerb(sub, "create", "Make a key; its secret is shown once",
                       [options](const Session& session) { return Create(session, *options); });
  create->add_option("--description", options->description, "What it is for");
  create->add_option("--data-dir", options->data_dir, "Write into a stopped server's data");
  commands.AddVerb(sub, "list", "List the keys, without secrets", List);
  commands
      .AddVerb(sub, "delete", "Delete a key; its requests are refused",
               [options](const Session& session) { return Delete(session, *options); })
      ->add_option("ID", options->id, "Access key id")
      ->required();
}

}  // namespace samovar
