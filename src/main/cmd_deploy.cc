// samovar deploy
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <filesystem>
#include <fstream>
#include <sstream>

#include "main/commands.h"
#include "main/deploy.h"
#include "main/guess.h"
#include "main/plan_image.h"
#include "main/progress.h"
#include "main/table.h"
#include "main/template.h"
#include "sandbox/runtime_catalog.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

struct Options {
  std::string folder = ".", file, name, runtime, handler;
  std::vector<std::string> parameters;
  int memory = 0, timeout = 0;
  bool dry_run = false;
  ImageService image;
};

Result<std::string> ReadWhole(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(Code::kInvalid, ErrnoError("cannot read " + path.string()).message);
  std::ostringstream out;
  out << in.rdbuf();
  return out.str();
}

// The template to use, or "" for none.
Result<std::string> FindTemplate(const Options& options) {
  if (!options.file.empty()) return options.file;
  if (IsModelFile(options.folder)) return std::string();
  std::error_code error;
  if (fs::is_regular_file(options.folder, error)) {
    const std::string kind = fs::path(options.folder).extension();
    if (kind == ".yaml" || kind == ".yml" || kind == ".json") return options.folder;
    return Fail(Code::kInvalid,
                fmt::format("{}: expected a folder, a template (.yaml, .yml, .json) "
                            "or a model (.onnx)",
                            options.folder));
  }
  if (!fs::is_directory(options.folder, error)) {
    return Fail(Code::kInvalid, fmt::format("{}: no such file or folder", options.folder));
  }
  for (const char* name : {"template.yaml", "template.yml", "template.json"}) {
    const fs::path path = fs::path(options.folder) / name;
    if (fs::is_regular_file(path, error)) return path.string();
  }
  return std::string();
}

Result<std::map<std::string, std::string>> Parameters(const Options& options) {
  std::map<std::string, std::string> out;
  for (const std::string& pair : options.parameters) {
    const std::size_t equals = pair.find('=');
    if (equals == std::string::npos || equals == 0) {
      return Fail(Code::kInvalid, fmt::format("--parameter {}: expected KEY=VALUE", pair));
    }
    out[pair.substr(0, equals)] = pair.substr(equals + 1);
  }
  return out;
}

// What a plan depends on that only the server knows. Without one a dry run goes on with defaults.
struct ServerFacts {
  std::map<std::string, Interpreter> runtimes;
  std::string region = "us-east-1";
  std::string account_id = "000000000000";
  bool manifests = false;  // whether it takes packages by their files
};

Result<ServerFacts> AskServer(const ApiClient& client) {
  ServerFacts facts;
  TRY(boost::json::value runtimes, client.Json("GET", "/samovar/v1/runtimes"));
  const boost::json::value& list = JsonMember(runtimes, "runtimes");
  if (list.is_array()) {
    for (const auto& one : list.as_array()) {
      facts.runtimes[JsonText(one, "name")] = {.path = JsonText(one, "path"),
                                               .version = JsonText(one, "version")};
    }
  }
  TRY(boost::json::value health, client.Json("GET", "/samovar/v1/health"));
  const boost::json::value& takes = JsonMember(health, "takes_manifests");
  facts.manifests = takes.is_bool() && takes.as_bool();
  TRY(boost::json::value config, client.Json("GET", "/samovar/v1/config"));
  if (!JsonText(config, "region").empty()) facts.region = JsonText(config, "region");
  if (!JsonText(config, "account_id").empty()) facts.account_id = JsonText(config, "account_id");
  return facts;
}

Result<Plan> PlanFromTemplate(const Options& options, const ServerFacts& facts,
                              const std::string& file) {
  TemplateInput input;
  TRY(input.text, ReadWhole(file));
  input.file = file;
  TRY(input.parameters, Parameters(options));
  std::error_code error;
  const fs::path folder = fs::absolute(file, error).parent_path();
  input.stack_name = options.name.empty() ? folder.filename().string() : options.name;
  input.prefix_names = !options.name.empty();
  input.region = facts.region;
  input.account_id = facts.account_id;
  if (!options.runtime.empty() || !options.handler.empty()) {
    return Fail(
        Code::kInvalid,
        fmt::format("--runtime and --handler are for folders without a template; {} is one", file));
  }
  return ReadTemplate(input);
}

Result<Plan> PlanFromFolder(const Session& session, const Options& options,
                            const ServerFacts& facts,
                            std::function<bool(const std::string& name)> exists) {
  const GuessInput input{.folder = options.folder,
                         .name = options.name,
                         .runtime = options.runtime,
                         .handler = options.handler,
                         .runtimes = facts.runtimes,
                         .account_id = facts.account_id,
                         .exists = std::move(exists)};
  TRY(Guess guess, GuessFunction(input));
  if (options.memory > 0) guess.function.configuration["MemorySize"] = options.memory;
  if (options.timeout > 0) guess.function.configuration["Timeout"] = options.timeout;
  if (!session.json) {
    for (const std::string& what : guess.guessed) {
      session.Say(session.err.Paint(Ink::kDim, "guessed " + what));
    }
  }
  Plan plan;
  plan.functions.push_back(std::move(guess.function));
  return plan;
}

void SayWarnings(const Session& session, const Plan& plan, const std::string& file) {
  if (session.json) return;
  for (const Warning& warning : plan.warnings) {
    session.Say(session.err.Paint(Ink::kYellow, "warning: ") +
                fmt::format("{}:{}: {}", file, warning.line, SafeText(warning.message)));
  }
}

boost::json::object ReportJson(const Plan& plan, const Deployer& deployer,
                               const std::string& file) {
  boost::json::array changes, warnings;
  for (const Change& change : deployer.Changes()) {
    changes.push_back(boost::json::object{{"kind", change.kind},
                                          {"name", change.name},
                                          {"change", change.what},
                                          {"detail", change.detail}});
  }
  for (const Warning& warning : plan.warnings) {
    warnings.emplace_back(fmt::format("{}:{}: {}", file, warning.line, warning.message));
  }
  for (const std::string& warning : deployer.Warnings()) {
    warnings.emplace_back(warning);
  }
  boost::json::object outputs;
  for (const OutputPlan& output : plan.outputs) {
    outputs[output.name] = FillPlaceholders(output.value, deployer.Known());
  }
  return {{"changes", std::move(changes)},
          {"outputs", std::move(outputs)},
          {"warnings", std::move(warnings)}};
}

void PrintReport(const Session& session, const Plan& plan, const Deployer& deployer) {
  Table table({{"WHAT"}, {"NAME"}, {"CHANGE"}, {"DETAIL"}});
  for (const Change& change : deployer.Changes()) {
    const Ink ink = change.what == "created"   ? Ink::kGreen
                    : change.what == "updated" ? Ink::kCyan
                                               : Ink::kDim;
    table.Add({change.kind, change.name, Cell(change.what, ink), change.detail});
  }
  session.Print(table.Render(session.out));
  for (const std::string& warning : deployer.Warnings()) {
    session.Say(session.err.Paint(Ink::kYellow, "warning: ") + warning);
  }
  if (!plan.outputs.empty()) session.Print("\n");
  Table outputs({{"OUTPUT"}, {"VALUE"}, {"DESCRIPTION"}});
  for (const OutputPlan& output : plan.outputs) {
    outputs.Add(
        {output.name, FillPlaceholders(output.value, deployer.Known()), output.description});
  }
  if (!outputs.Empty()) session.Print(outputs.Render(session.out));
}

void PrintPlan(const Session& session, const Plan& plan) {
  if (session.json) {
    session.PrintJson(PlanJson(plan));
    return;
  }
  Table table({{"WHAT"}, {"NAME"}, {"RUNTIME"}, {"CODE"}});
  for (const LayerPlan& layer : plan.layers) {
    table.Add({"layer", layer.name, layer.content.build_method, layer.content.path});
  }
  for (const FunctionPlan& function : plan.functions) {
    const bool path = function.code.kind == CodeSource::Kind::kPath;
    table.Add({"function", function.name, JsonText(function.configuration, "Runtime"),
               path ? function.code.path : "(in the template)"});
  }
  session.Print(table.Render(session.out));
  session.Say("a dry run: nothing was built or sent");
}

// The folder that paths of code are relative to.
std::string ProjectOf(const Options& options, const std::string& file) {
  std::error_code error;
  const std::string& source = file.empty() ? options.folder : file;
  const bool folder = file.empty() && !IsModelFile(source);
  const fs::path base = folder ? fs::path(source) : fs::path(source).parent_path();
  return fs::weakly_canonical(base.empty() ? "." : base, error).string();
}

std::string BuildFolder(const std::string& project) {
  return (fs::path(project) / ".samovar-build").string();
}

BuildContext ContextOf(const Session& session, const ServerFacts& facts, const std::string& project,
                       BuildSandbox* sandbox) {
  return {.project = project,
          .build_folder = BuildFolder(project),
          .runtimes = facts.runtimes,
          .terminal = session.err,
          .clock = session.clock,
          .sandbox = sandbox,
          .manifests = facts.manifests};
}

Result<int> Run(const Session& session, const ApiClient& client, const Plan& plan,
                const ServerFacts& facts, const std::string& project, const std::string& file) {
  BuildSandbox sandbox({project, BuildFolder(project)});
  const BuildContext context = ContextOf(session, facts, project, &sandbox);
  Deployer deployer(client, context);
  const auto done = deployer.Deploy(plan);
  if (!done) {
    if (!session.json && !deployer.Changes().empty()) PrintReport(session, {}, deployer);
    return std::unexpected(done.error());
  }
  if (session.json) {
    session.PrintJson(ReportJson(plan, deployer, file));
  } else {
    PrintReport(session, plan, deployer);
  }
  return kExitOk;
}

Result<int> Deploy(const Session& session, const Options& options) {
  TRY(ApiClient client, session.Client());
  ImageService service = options.image;
  const bool image = !service.image.empty();
  TRY(std::string file, image ? std::string() : FindTemplate(options));
  ServerFacts facts;
  if (auto asked = AskServer(client)) {
    facts = std::move(*asked);
  } else if (!options.dry_run) {
    return std::unexpected(asked.error());
  }
  const auto exists = [&client](const std::string& name) {
    const auto known = client.JsonIfThere(FunctionPath(name));
    return known && *known;
  };
  service.name = options.name;
  service.memory = options.memory;
  service.timeout = options.timeout;
  service.account_id = facts.account_id;
  service.dry_run = options.dry_run;
  auto plan = image          ? FromImage(session, client, service, exists)
              : file.empty() ? PlanFromFolder(session, options, facts, exists)
                             : PlanFromTemplate(options, facts, file);
  if (!plan) return std::unexpected(plan.error());
  SayWarnings(session, *plan, file);
  if (options.dry_run) {
    PrintPlan(session, *plan);
    return kExitOk;
  }
  return Run(session, client, *plan, facts, ProjectOf(options, file), file);
}

// What this machine has, for a build without a server.
ServerFacts AskThisMachine() {
  ServerFacts facts;
  for (const Runtime& runtime : RuntimeCatalog::Discover({}).All()) {
    facts.runtimes[runtime.name] = {.path = runtime.interpreter, .version = runtime.version};
  }
  return facts;
}

Result<int> Build(const Session& session, const Options& options) {
  TRY(std::string file, FindTemplate(options));
  const ServerFacts facts = AskThisMachine();
  const auto as_if_there = [](const std::string&) { return true; };
  TRY(Plan plan, file.empty() ? PlanFromFolder(session, options, facts, as_if_there)
                              : PlanFromTemplate(options, facts, file));
  SayWarnings(session, plan, file);
  const std::string project = ProjectOf(options, file);
  BuildSandbox sandbox({project, BuildFolder(project)});
  const BuildContext context = ContextOf(session, facts, project, &sandbox);
  Table table({{"BUILT"}, {"SIZE", true}, {"DETAIL"}, {"PACKAGE"}});
  boost::json::array rows;
  const auto build = [&](const BuildOrder& order) -> Result<void> {
    TRY(const BuiltPackage built, BuildPackage(context, order, [](const auto&) { return false; }));
    table.Add({order.id, HumanSize(built.size), built.note, built.file});
    rows.push_back(boost::json::object{{"id", order.id},
                                       {"file", built.file},
                                       {"sha256", built.sha256},
                                       {"size", built.size},
                                       {"note", built.note}});
    return {};
  };
  for (const LayerPlan& layer : plan.layers) {
    TRY(build({layer.logical_id, layer.content, layer.content.build_method, "", true}));
  }
  for (const FunctionPlan& function : plan.functions) {
    TRY(build({function.logical_id, function.code, JsonText(function.configuration, "Runtime"),
               JsonText(function.configuration, "Handler"), false}));
  }
  if (session.json) {
    session.PrintJson(boost::json::object{{"built", std::move(rows)}});
  } else {
    session.Print(table.Render(session.out));
  }
  return kExitOk;
}

void AddSourceOptions(CLI::App* sub, Options& options) {
  sub->add_option("DIR", options.folder, "Folder with the template or code, or a model file")
      ->capture_default_str();
  sub->add_option("--template,-t", options.file, "Template (default: DIR/template.yaml)");
  sub->add_option("--parameter,-P", options.parameters, "KEY=VALUE; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  sub->add_option("--name,-n", options.name,
                  "Without a template: the function's name; with one: the stack's");
  sub->add_option("--runtime", options.runtime, "Without a template: e.g. python3.11");
  sub->add_option("--handler", options.handler, "Without a template: e.g. app.handler");
}

}  // namespace

void AddBuildCommand(Commands& commands) {
  CLI::App* sub = commands.Add(
      "build", "Build a folder's packages as deploy does, and send nothing; needs no server",
      "  samovar build shop                    # into shop/.samovar-build\n"
      "  samovar build hello --runtime python3.11 --handler app.handler --json");
  auto options = std::make_shared<Options>();
  AddSourceOptions(sub, *options);
  sub->callback([&commands, options] {
    commands.run = [&commands, options] {
      return Finish(commands.session, Build(commands.session, *options));
    };
  });
}

void AddDeployCommand(Commands& commands) {
  CLI::App* sub = commands.Add(
      "deploy", "Build a folder's functions, send what changed, say what did",
      "  samovar deploy                        # template.yaml here, or a folder with app.py\n"
      "  samovar deploy shop --parameter Stage=prod\n"
      "  samovar deploy shop --name prod       # names become prod-ID: two of one template\n"
      "  samovar deploy hello --runtime python3.11 --handler app.handler --name Hello\n"
      "  samovar deploy model.onnx --name forecast   # a model is a function\n"
      "  samovar deploy --image shop.tar --http 8080 # a container image that serves HTTP\n"
      "  samovar deploy shop --dry-run --json  # the plan, nothing sent\n\n"
      "Dependencies (requirements.txt, uv.lock, package.json, ...) and programs (Makefile, CMake,\n"
      "Cargo) are built; docs/deploy.md says what of SAM is read. Files in .samignore stay out.");
  auto options = std::make_shared<Options>();
  AddSourceOptions(sub, *options);
  sub->add_option("--memory", options->memory, "Without a template: MB");
  sub->add_option("--timeout", options->timeout, "Without a template: seconds");
  AddImageOptions(sub, options->image);
  sub->add_flag("--dry-run", options->dry_run, "Only say what would be deployed");
  sub->callback([&commands, options] {
    commands.run = [&commands, options] {
      return Finish(commands.session, Deploy(commands.session, *options));
    };
  });
}

}  // namespace samovar
