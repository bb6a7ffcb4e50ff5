#include "main/image_import.h"

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/file.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <cstdlib>
#include <filesystem>
#include <set>

#include "images/image.h"
#include "main/child_process.h"
#include "main/image_archive.h"
#include "main/progress.h"
#include "os/fd.h"
#include "wire/sha256.h"

namespace samovar {

namespace {

namespace fs = std::filesystem;

std::string NameOf(const ImageImport& asked, const ImageArchive& archive) {
  if (!asked.name.empty()) return asked.name;
  // A layout often has a bare tag ("latest"): the file says more.
  if (archive.name.find_first_of(":/") != std::string::npos) return archive.name;
  std::error_code ignored;
  fs::path file = fs::weakly_canonical(asked.source, ignored).filename();
  while (file.has_extension()) file = file.stem();
  const auto tag = archive.name.empty() ? std::string("latest") : archive.name;
  return file.string() + ":" + tag;
}

Result<std::set<std::string>> Name(const ApiClient& client, const std::string& name,
                                   const ImageArchive& archive, std::string& digest) {
  TRY(const boost::json::value answer,
      client.Json("POST", "/samovar/v1/images",
                  boost::json::object{{"name", name},
                                      {"manifest", archive.manifest},
                                      {"configuration", archive.configuration}}));
  digest = JsonText(answer, "digest");
  std::set<std::string> missing;
  const auto& list = JsonMember(answer, "missing");
  if (list.is_array()) {
    for (const auto& layer : list.as_array()) {
      if (layer.is_string()) missing.emplace(layer.as_string());
    }
  }
  return missing;
}

Result<void> SendLayer(const ApiClient& client, const ImageArchive::Layer& layer,
                       Progress& progress) {
  HttpCall call;
  call.method = "PUT";
  call.target = "/samovar/v1/image-layers/" + layer.diff_id;
  call.headers.Set("Content-Type", "application/octet-stream");
  call.body_file = layer.file;
  call.on_progress = [&](std::uint64_t sent, std::uint64_t total) { progress.Bytes(sent, total); };
  auto reply = client.Call(std::move(call));
  if (reply) return {};
  Error error = reply.error();
  error.message = fmt::format("layer {}: {}", layer.diff_id.substr(0, 19), error.message);
  return std::unexpected(std::move(error));
}

fs::path CacheFolder() {
  if (const char* cache = std::getenv("XDG_CACHE_HOME")) return fs::path(cache) / "samovar/images";
  const char* home = std::getenv("HOME");
  return fs::path(home ? home : "/tmp") / ".cache/samovar/images";
}

}  // namespace

Result<ImportedImage> ImportImage(const ApiClient& client, const Terminal& terminal,
                                  const Clock& clock, const ImageImport& asked) {
  TRY(const auto archive, ImageArchive::Open(asked.source, asked.tag));
  ImportedImage done;
  TRY(done.name, FullImageName(NameOf(asked, archive)));
  done.layers = archive.layers.size();
  TRY(auto missing, Name(client, done.name, archive, done.digest));
  for (std::size_t i = 0; i < archive.layers.size(); ++i) {
    const auto& layer = archive.layers[i];
    if (missing.erase(layer.diff_id) == 0) continue;
    Progress progress(terminal, clock,
                      fmt::format("{}: layer {} of {}", done.name, i + 1, done.layers));
    TRY(SendLayer(client, layer, progress));
    std::error_code ignored;
    progress.Done(fmt::format("{}: layer {} of {}, {}", done.name, i + 1, done.layers,
                              HumanSize(fs::file_size(layer.file, ignored))));
    ++done.sent;
  }
  if (done.sent > 0) {
    TRY(const auto left, Name(client, done.name, archive, done.digest));
    if (!left.empty()) {
      return Fail(Code::kInternal, "the server took a layer, and has it not: " + *left.begin());
    }
  }
  return done;
}

// What skopeo has fetched stays until the server has it all: a pull that breaks off goes on.
Result<ImportedImage> PullImage(const ApiClient& client, const Terminal& terminal,
                                const Clock& clock, const ImageImport& asked) {
  std::string reference = asked.source;
  if (reference.starts_with("docker://")) reference = reference.substr(9);
  const fs::path folder = CacheFolder() / Sha256Hex(reference).substr(0, 32);
  std::error_code failed;
  fs::create_directories(folder.parent_path(), failed);
  // skopeo inherits the lock: one that a killed pull left behind ends before the next begins.
  const Fd lock(::open((folder.string() + ".lock").c_str(), O_CREAT | O_RDWR, 0600));
  if (lock && ::flock(lock.Get(), LOCK_EX | LOCK_NB) != 0) {
    Progress waiting(terminal, clock, "waiting for another pull of " + reference);
    (void)::flock(lock.Get(), LOCK_EX);
  }
  ChildCall call;
  call.argv = {"skopeo", "--override-os", "linux", "--override-arch", "amd64", "copy"};
  if (asked.insecure) call.argv.emplace_back("--src-tls-verify=false");
  call.argv.push_back("docker://" + reference);
  call.argv.push_back("oci:" + folder.string() + ":pulled");
  std::string last;
  {
    Progress progress(terminal, clock, "pulling " + reference);
    auto ended = RunChild(call, [&](std::string_view line) {
      if (!line.empty()) last = line;
      progress.Note(std::string(line));
    });
    if (!ended) {
      return Fail(Code::kInvalid,
                  "image pull needs skopeo (Debian package skopeo): " + ended.error().message);
    }
    if (*ended != 0) return Fail(Code::kInvalid, fmt::format("pull {}: {}", reference, last));
    progress.Done("pulled " + reference);
  }
  ImageImport import = asked;
  import.source = folder.string();
  import.tag = "pulled";
  if (import.name.empty()) import.name = reference.substr(0, reference.find('@'));
  TRY(auto done, ImportImage(client, terminal, clock, import));
  fs::remove_all(folder, failed);
  return done;
}

}  // namespace samovar
