// samovar image import, pull, list, show, delete
#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "base/encoding.h"
#include "main/commands.h"
#include "main/image_import.h"
#include "main/progress.h"
#include "main/table.h"

namespace samovar {

namespace {

std::string Joined(const boost::json::value& list, std::string_view between) {
  std::string out;
  if (!list.is_array()) return out;
  for (const auto& item : list.as_array()) {
    if (!out.empty()) out += between;
    out += item.is_string() ? std::string(item.as_string())
                            : fmt::format("{}", item.to_number<std::int64_t>());
  }
  return out;
}

std::string Size(const boost::json::value& image) {
  return HumanSize(static_cast<std::uint64_t>(JsonNumber(image, "size")));
}

int Report(const Session& session, const ImportedImage& done) {
  if (session.json) {
    session.PrintJson(boost::json::object{{"name", done.name},
                                          {"digest", done.digest},
                                          {"layers", done.layers},
                                          {"sent", done.sent}});
  } else {
    session.Print(fmt::format("{} {} ({} layers, {} sent)\n", done.name, done.digest, done.layers,
                              done.sent));
  }
  return kExitOk;
}

Result<int> Import(const Session& session, const ImageImport& asked, bool pull) {
  TRY(const ApiClient client, session.Client());
  TRY(const ImportedImage done, pull ? PullImage(client, session.err, session.clock, asked)
                                     : ImportImage(client, session.err, session.clock, asked));
  return Report(session, done);
}

Result<int> List(const Session& session) {
  TRY(const ApiClient client, session.Client());
  TRY(const boost::json::value answer, client.Json("GET", "/samovar/v1/images"));
  if (session.json) {
    session.PrintJson(answer);
    return kExitOk;
  }
  Table table({{"IMAGE"}, {"DIGEST"}, {"LAYERS", true}, {"SIZE", true}});
  const auto& images = JsonMember(answer, "images");
  if (images.is_array()) {
    for (const auto& image : images.as_array()) {
      const auto names = Joined(JsonMember(image, "names"), ", ");
      const auto& layers = JsonMember(image, "layers");
      table.Add({names.empty() ? Cell("(no name)", Ink::kDim) : Cell(names),
                 JsonText(image, "digest").substr(0, 19),
                 fmt::format("{}", layers.is_array() ? layers.as_array().size() : 0), Size(image)});
    }
  }
  if (table.Empty()) {
    session.Say("no images; bring one: samovar image import FILE");
  } else {
    session.Print(table.Render(session.out));
  }
  return kExitOk;
}

Result<int> Show(const Session& session, const std::string& name) {
  TRY(const ApiClient client, session.Client());
  TRY(const boost::json::value image,
      client.Json("GET", "/samovar/v1/images?name=" + PercentEncode(name)));
  if (session.json) {
    session.PrintJson(image);
    return kExitOk;
  }
  Table table({{"IMAGE"}, {JsonText(image, "digest")}});
  table.Add({"names", Joined(JsonMember(image, "names"), ", ")});
  table.Add({"size", Size(image)});
  table.Add({"created", JsonText(image, "created")});
  table.Add({"entry point", Joined(JsonMember(image, "entrypoint"), " ")});
  table.Add({"command", Joined(JsonMember(image, "command"), " ")});
  table.Add({"working folder", JsonText(image, "working_folder")});
  table.Add({"ports", Joined(JsonMember(image, "ports"), ", ")});
  for (const char* list : {"environment", "layers"}) {
    const auto& items = JsonMember(image, list);
    if (!items.is_array()) continue;
    for (const auto& item : items.as_array()) {
      table.Add({list, std::string(item.is_string() ? item.as_string() : "")});
    }
  }
  session.Print(table.Render(session.out));
  return kExitOk;
}

Result<int> Delete(const Session& session, const std::vector<std::string>& names) {
  TRY(const ApiClient client, session.Client());
  boost::json::array deleted;
  for (const auto& name : names) {
    TRY(const boost::json::value gone,
        client.Json("DELETE", "/samovar/v1/images?name=" + PercentEncode(name)));
    deleted.emplace_back(name);
    if (!session.json) session.Say("deleted " + name);
  }
  if (session.json) session.PrintJson(boost::json::object{{"deleted", std::move(deleted)}});
  return kExitOk;
}

}  // namespace

void AddImageCommand(Commands& commands) {
  CLI::App* image = commands.Add(
      "image", "Container images: import, pull, list, show, delete",
      "  samovar image import shop.tar --name shop:1   # an OCI layout, or docker save's archive\n"
      "  samovar image pull registry:5000/team/shop:1  # by skopeo, with its credentials\n"
      "  samovar image list\n"
      "  samovar image show shop:1\n"
      "  samovar image delete shop:1\n"
      "  samovar deploy --image shop:1 --http 8080 --name shop\n\n"
      "Layers are sent once, and shared by all images that have them (docs/images.md).");
  image->require_subcommand(1);
  auto asked = std::make_shared<ImageImport>();
  CLI::App* import =
      commands.AddVerb(image, "import", "An image from a file or an OCI layout",
                       [asked](const Session& session) { return Import(session, *asked, false); });
  import->add_option("FILE", asked->source, "OCI layout (folder or tar) or docker save's archive")
      ->required();
  import->add_option("--name,-n", asked->name, "As the server shall know it, with a tag");
  import->add_option("--tag", asked->tag, "Which one, where a layout has several");
  CLI::App* pull =
      commands.AddVerb(image, "pull", "An image from a registry, by skopeo",
                       [asked](const Session& session) { return Import(session, *asked, true); });
  pull->add_option("REFERENCE", asked->source, "E.g. registry:5000/team/shop:1")->required();
  pull->add_option("--name,-n", asked->name, "As the server shall know it (default: the same)");
  pull->add_flag("--insecure", asked->insecure, "The registry speaks plain HTTP");
  commands.AddVerb(image, "list", "The images that the server has", List);
  auto names = std::make_shared<std::vector<std::string>>();
  commands
      .AddVerb(image, "show", "One image: how it starts, and its layers",
               [names](const Session& session) { return Show(session, names->front()); })
      ->add_option("NAME", *names, "Name or digest")
      ->required()
      ->expected(1);
  commands
      .AddVerb(image, "delete", "Take names away; functions that use the image keep it",
               [names](const Session& session) { return Delete(session, *names); })
      ->add_option("NAME", *names, "Names")
      ->required();
}

}  // namespace samovar
