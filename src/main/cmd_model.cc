// samovar model export
#include <fmt/format.h>

#include <boost/json/array.hpp>

#include "main/commands.h"
#include "main/model_export.h"
#include "main/progress.h"

namespace samovar {

namespace {

boost::json::object ExportedJson(const ModelExport& asked, const ModelExported& exported) {
  boost::json::array checks;
  for (const ModelComparison& check : exported.comparisons) {
    checks.push_back(boost::json::object{{"rows", check.rows},
                                         {"count", check.count},
                                         {"largest_difference", check.largest_difference},
                                         {"relative_difference", check.relative_difference},
                                         {"beyond", check.beyond}});
  }
  return {{"model", asked.target},
          {"bytes", exported.bytes},
          {"inputs", boost::json::array(exported.inputs.begin(), exported.inputs.end())},
          {"outputs", boost::json::array(exported.outputs.begin(), exported.outputs.end())},
          {"checks", std::move(checks)}};
}

Result<int> Export(const Session& session, const ModelExport& asked) {
  TRY(const ModelExported exported, ExportModel(asked, session.err, session.clock));
  if (session.json) {
    session.PrintJson(ExportedJson(asked, exported));
    return kExitOk;
  }
  for (const ModelComparison& check : exported.comparisons) {
    session.Print(fmt::format("{:.0f} {} rows: largest difference {:.2g} (relative {:.2g}){}\n",
                              check.count, check.rows == "random" ? "random" : "given",
                              check.largest_difference, check.relative_difference,
                              check.beyond == 0 ? ""
                                                : fmt::format(", {:.0f} beyond the tolerance, "
                                                              "at a tree's threshold",
                                                              check.beyond)));
  }
  session.Print(fmt::format("{}: {}, {} to {}\n", asked.target,
                            HumanSize(static_cast<std::uint64_t>(exported.bytes)),
                            fmt::join(exported.inputs, ", "), fmt::join(exported.outputs, ", ")));
  session.Say(fmt::format("deploy it with: samovar deploy {}", asked.target));
  return kExitOk;
}

}  // namespace

void AddModelCommand(Commands& commands) {
  CLI::App* sub = commands.Add(
      "model", "Models: export one from scikit-learn to ONNX",
      "  samovar model export pipeline.joblib -o model.onnx --features 100\n"
      "  samovar model export pipeline.joblib -o model.onnx --rows some_rows.csv\n\n"
      "It sets up an environment with the scikit-learn that the file was saved with and PyPI's\n"
      "skl2onnx (kept in ~/.cache/samovar), converts, and compares both on random and on given\n"
      "rows. Loading a joblib or pickle file runs code in it: export only files that you trust.");
  sub->require_subcommand(1);
  auto asked = std::make_shared<ModelExport>();
  CLI::App* one = sub->add_subcommand("export", "scikit-learn to ONNX, compared with the original");
  one->add_flag("--json", commands.session.json, "Print JSON")->group("Common");
  one->add_option("FILE", asked->source, "The model, saved by joblib or pickle")->required();
  one->add_option("--out,-o", asked->target, "Where the ONNX model goes")->required();
  one->add_option("--features", asked->features, "Numbers a row (default: as the model says)");
  one->add_option("--rows", asked->rows, "Rows to compare on: .csv, .json or .npy");
  one->add_option("--random", asked->random_rows, "How many random rows to compare on")
      ->check(CLI::Range(2, 1'000'000))
      ->capture_default_str();
  one->add_option("--tolerance", asked->tolerance, "Largest difference, relative above 1")
      ->capture_default_str();
  one->add_option("--with", asked->with, "Another package for the environment; may be repeated")
      ->expected(1)
      ->multi_option_policy(CLI::MultiOptionPolicy::TakeAll);
  one->add_option("--python", asked->python, "The Python to start from");
  one->add_option("--cache", asked->cache, "Where environments are kept");
  one->callback([&commands, asked] {
    commands.run = [&commands, asked] {
      return Finish(commands.session, Export(commands.session, *asked));
    };
  });
}

}  // namespace samovar
