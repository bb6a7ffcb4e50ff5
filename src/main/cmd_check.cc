// samovar check
#include <fcntl.h>
#include <fmt/format.h>
#include <stdlib.h>
#include <sys/stat.h>

#include <filesystem>

#include "main/commands.h"
#include "main/config.h"
#include "os/fd.h"
#include "packages/package_check.h"
#include "sandbox/runtime_catalog.h"
#include "store/unpack.h"
#include "store/zip_check.h"

namespace samovar {

namespace fs = std::filesystem;

namespace {

struct Options {
  std::string package, runtime, handler, max_unpacked = "10GB";
  std::vector<std::string> layers;
};

// Where zips are unpacked; gone with the command.
class Workspace {
 public:
  explicit Workspace(Bytes max_unpacked) { bounds_.max_unpacked = max_unpacked; }
  ~Workspace() {
    std::error_code ignored;
    for (const auto& folder : made_) fs::remove_all(folder, ignored);
  }

  // The folder of a package: itself, or what its zip unpacks to, with the server's own care.
  Result<std::string> FolderOf(const std::string& path) {
    std::error_code error;
    if (fs::is_directory(path, error)) return fs::canonical(path, error).string();
    const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
    struct stat about{};
    if (!file || ::fstat(file.Get(), &about) != 0) {
      return Fail(Code::kInvalid, ErrnoError("cannot read " + path).message);
    }
    const auto zip = CheckZip(file.Get(), static_cast<std::uint64_t>(about.st_size),
                              {bounds_.max_files, bounds_.max_unpacked});
    if (!zip) return Wrong(path, zip.error());
    std::string folder = (fs::temp_directory_path() / "samovar-check-XXXXXX").string();
    if (!::mkdtemp(folder.data())) return std::unexpected(ErrnoError("make " + folder));
    made_.push_back(folder);
    const auto unpacked = UnpackZip(path, folder, bounds_);
    if (!unpacked) return Wrong(path, unpacked.error());
    return folder;
  }

 private:
  static std::unexpected<Error> Wrong(const std::string& path, const Error& error) {
    return Fail(error.code, path + ": " + error.message);
  }

  PackageOptions bounds_;
  std::vector<std::string> made_;
};

Result<CheckReport> Check(const Options& options) {
  const RuntimeCatalog runtimes = RuntimeCatalog::Discover({});
  TRY(const Runtime runtime, runtimes.Find(options.runtime));
  const auto max_unpacked = ParseSize(options.max_unpacked);
  if (!max_unpacked) {
    return Fail(Code::kInvalid, fmt::format("--max-unpacked: expected a size such as 500MB, got {}",
                                            options.max_unpacked));
  }
  Workspace workspace(*max_unpacked);
  PackageCheck check;
  check.runtime = options.runtime;
  check.handler = options.handler;
  check.interpreter = runtime.interpreter;
  check.roots.clear();
  TRY(const std::string code, workspace.FolderOf(options.package));
  check.roots.push_back({"/var/task", code});
  for (const auto& path : options.layers) {
    TRY(const std::string layer, workspace.FolderOf(path));
    check.roots.push_back({"/opt", layer});
  }
  auto places = check.roots;
  for (const auto& folder : runtime.mounts) places.push_back({folder, folder});
  check.view = SandboxView(std::move(places));
  return CheckPackage(check);
}

Result<int> Run(const Session& session, const Options& options) {
  TRY(const CheckReport report, Check(options));
  if (session.json) {
    session.PrintJson(CheckReportJson(report));
  } else {
    for (const auto& finding : report.findings) {
      session.Print((finding.hopeless ? session.out.Paint(Ink::kRed, "error: ")
                                      : session.out.Paint(Ink::kYellow, "warning: ")) +
                    SafeText(finding.Text()) + "\n");
    }
    if (report.left_out > 0) session.Print(fmt::format("... and {} more\n", report.left_out));
    session.Say(fmt::format("{} file{}, {} of them native: {}", report.files,
                            report.files == 1 ? "" : "s", report.native_files,
                            report.Hopeless()         ? "it cannot run as it is"
                            : report.findings.empty() ? "nothing found"
                                                      : "it may run"));
  }
  return report.Hopeless() ? kExitFunctionFailed : kExitOk;
}

}  // namespace

void AddCheckCommand(Commands& commands) {
  CLI::App* sub = commands.Add(
      "check", "Check a package before anybody calls it; needs no server",
      "  samovar check app.zip --runtime python3.11 --handler app.handler\n"
      "  samovar check build/ --runtime python3.12 --layer numpy.zip --json | jq .findings");
  auto options = std::make_shared<Options>();
  sub->add_option("PACKAGE", options->package, "A zip, or the folder that becomes one")->required();
  sub->add_option("--runtime", options->runtime, "python3.11, nodejs20.x, provided.al2023, ...")
      ->required();
  sub->add_option("--handler", options->handler, "Whether it is there: app.handler");
  sub->add_option("--layer", options->layers,
                  "A layer of the function; in order, may be given often");
  sub->add_option("--max-unpacked", options->max_unpacked, "As the server's limits.max_unpacked")
      ->capture_default_str();
  sub->callback([&commands, options] {
    commands.run = [&commands, options] {
      return Finish(commands.session, Run(commands.session, *options));
    };
  });
}

}  // namespace samovar
