#include "main/image_archive.h"

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>
#include <fmt/format.h>

#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <sstream>

#include "images/image.h"
#include "main/api_client.h"
#include "os/fd.h"
#include "wire/sha256.h"

namespace samovar {

namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr std::size_t kMaxDocument = 8 << 20;
constexpr int kMaxIndexes = 4;

Result<std::string> ReadDocument(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  if (!in) return Fail(Code::kInvalid, ErrnoError("read " + path).message);
  std::ostringstream out;
  out << in.rdbuf();
  if (out.str().size() > kMaxDocument) return Fail(Code::kInvalid, path + " is no image document");
  return std::move(out).str();
}

Result<json::value> ReadJson(const std::string& path) {
  TRY(const std::string text, ReadDocument(path));
  boost::system::error_code failed;
  auto value = json::parse(text, failed);
  if (failed) return Fail(Code::kInvalid, path + " is no JSON");
  return value;
}

const json::array& List(const json::value& object, std::string_view member) {
  static const json::array kNone;
  const auto* list = JsonMember(object, member).if_array();
  return list ? *list : kNone;
}

std::string RefOf(const json::value& descriptor) {
  return JsonText(JsonMember(descriptor, "annotations"), "org.opencontainers.image.ref.name");
}

bool ForUs(const json::value& descriptor) {
  const auto& platform = JsonMember(descriptor, "platform");
  const auto os = JsonText(platform, "os"), processor = JsonText(platform, "architecture");
  return (os.empty() || os == "linux") && (processor.empty() || processor == "amd64");
}

struct CloseRead {
  void operator()(archive* a) const { archive_read_free(a); }
};

// "./blobs/sha256/ab" -> "blobs/sha256/ab"; "" for what is not below the folder.
std::string SafeName(std::string_view name) {
  const auto path = fs::path(name).lexically_normal();
  if (path.empty() || path.is_absolute() || path.begin()->string() == "..") return {};
  return path.string();
}

Result<void> CopyEntry(archive* tar, const std::string& to) {
  std::error_code failed;
  fs::create_directories(fs::path(to).parent_path(), failed);
  const Fd file(::open(to.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600));
  if (!file) return std::unexpected(ErrnoError("write " + to));
  if (archive_read_data_into_fd(tar, file.Get()) != ARCHIVE_OK) {
    const char* why = archive_error_string(tar);
    return Fail(Code::kInvalid, fmt::format("unpack {}: {}", to, why ? why : "it is damaged"));
  }
  return {};
}

}  // namespace

ImageArchive::ImageArchive(ImageArchive&& other) noexcept
    : manifest(std::move(other.manifest)),
      configuration(std::move(other.configuration)),
      layers(std::move(other.layers)),
      name(std::move(other.name)),
      folder_(std::move(other.folder_)),
      own_folder_(std::exchange(other.own_folder_, {})) {}

ImageArchive::~ImageArchive() {
  std::error_code ignored;
  if (!own_folder_.empty()) fs::remove_all(own_folder_, ignored);
}

Result<ImageArchive> ImageArchive::Open(const std::string& path, const std::string& tag) {
  ImageArchive image;
  std::error_code failed;
  if (fs::is_directory(path, failed)) {
    image.folder_ = path;
  } else {
    TRY(image.Unpack(path));
  }
  if (fs::exists(image.folder_ + "/index.json", failed)) {
    TRY(image.ReadLayout(tag));
  } else if (fs::exists(image.folder_ + "/manifest.json", failed)) {
    TRY(image.ReadDockerSave());
  } else {
    return Fail(Code::kInvalid,
                fmt::format("{} is neither an OCI layout (it has no index.json) nor what docker "
                            "save writes (it has no manifest.json)",
                            path));
  }
  return image;
}

Result<void> ImageArchive::Unpack(const std::string& tar) {
  std::error_code failed;
  std::string folder = (fs::temp_directory_path(failed) / "samovar-image-XXXXXX").string();
  if (!::mkdtemp(folder.data())) return std::unexpected(ErrnoError("make a folder for " + tar));
  folder_ = own_folder_ = folder;
  const std::unique_ptr<archive, CloseRead> in(archive_read_new());
  archive_read_support_format_tar(in.get());
  archive_read_support_filter_all(in.get());
  const auto damaged = [&] {
    const char* why = archive_error_string(in.get());
    return Fail(Code::kInvalid, fmt::format("{}: {}", tar, why ? why : "it is no tar"));
  };
  if (archive_read_open_filename(in.get(), tar.c_str(), 1 << 20) != ARCHIVE_OK) return damaged();
  while (true) {
    archive_entry* entry = nullptr;
    const int status = archive_read_next_header(in.get(), &entry);
    if (status == ARCHIVE_EOF) return {};
    if (status != ARCHIVE_OK && status != ARCHIVE_WARN) return damaged();
    const char* raw = archive_entry_pathname(entry);
    const std::string file = SafeName(raw ? raw : "");
    if (file.empty() || file == ".") continue;
    if (archive_entry_filetype(entry) == AE_IFREG && !archive_entry_hardlink(entry)) {
      TRY(CopyEntry(in.get(), folder_ + "/" + file));
    } else if (archive_entry_filetype(entry) == AE_IFLNK) {
      // Old archives name a layer that they have already by a link to it.
      const auto target =
          SafeName((fs::path(file).parent_path() / archive_entry_symlink(entry)).string());
      fs::create_directories(fs::path(folder_ + "/" + file).parent_path(), failed);
      if (!target.empty()) fs::create_symlink(folder_ + "/" + target, folder_ + "/" + file, failed);
    }
  }
}

Result<std::string> ImageArchive::File(const std::string& file) const {
  const auto safe = SafeName(file);
  std::error_code failed;
  if (safe.empty() || !fs::is_regular_file(folder_ + "/" + safe, failed)) {
    return Fail(Code::kInvalid, fmt::format("the image names {}, which is not there", file));
  }
  return folder_ + "/" + safe;
}

Result<std::string> ImageArchive::Blob(const std::string& digest) const {
  TRY(const auto digits, ReadDigest(digest, "a digest in the image's documents"));
  return File("blobs/sha256/" + digits);
}

Result<void> ImageArchive::ReadLayout(const std::string& tag) {
  TRY(json::value index, ReadJson(folder_ + "/index.json"));
  for (int depth = 0; depth < kMaxIndexes; ++depth) {
    std::vector<const json::value*> fitting;
    for (const auto& one : List(index, "manifests")) {
      const bool asked = depth > 0 || tag.empty() || RefOf(one) == tag;
      if (asked && ForUs(one)) fitting.push_back(&one);
    }
    if (fitting.size() != 1) {
      return Fail(Code::kInvalid, fmt::format("the layout has {} images for linux/amd64{}: {}",
                                              fitting.size(), tag.empty() ? "" : " named " + tag,
                                              fitting.empty() ? "there is none to import"
                                                              : "choose one by its --tag"));
    }
    const json::value chosen = *fitting.front();
    if (name.empty()) name = RefOf(chosen);
    const auto digest = JsonText(chosen, "digest");
    TRY(const auto file, Blob(digest));
    TRY(manifest, ReadDocument(file));
    if ("sha256:" + Sha256Hex(manifest) != digest) {
      return Fail(Code::kInvalid, file + " is damaged: its digest is another");
    }
    TRY(index, ReadJson(file));
    if (JsonMember(index, "manifests").is_array()) continue;  // an index in an index
    TRY(const auto config, Blob(JsonText(JsonMember(index, "config"), "digest")));
    TRY(configuration, ReadDocument(config));
    std::vector<std::string> files;
    for (const auto& layer : List(index, "layers")) {
      TRY(auto blob, Blob(JsonText(layer, "digest")));
      files.push_back(std::move(blob));
    }
    return AddLayers(files);
  }
  return Fail(Code::kInvalid, "the layout's index leads to no image");
}

Result<void> ImageArchive::ReadDockerSave() {
  TRY(const json::value list, ReadJson(folder_ + "/manifest.json"));
  if (!list.is_array() || list.as_array().size() != 1) {
    return Fail(Code::kInvalid, "the archive must hold one image: docker save it alone");
  }
  const json::value& one = list.as_array().front();
  const auto& tags = List(one, "RepoTags");
  if (!tags.empty() && tags.front().is_string()) name = tags.front().as_string();
  TRY(const auto config, File(JsonText(one, "Config")));
  TRY(configuration, ReadDocument(config));
  std::vector<std::string> files;
  for (const auto& layer : List(one, "Layers")) {
    TRY(auto file, File(layer.is_string() ? std::string(layer.as_string()) : ""));
    files.push_back(std::move(file));
  }
  TRY(AddLayers(files));
  // It has no manifest that a registry would know; this one is the same each time.
  json::array described;
  std::error_code failed;
  for (const auto& layer : layers) {
    described.push_back(json::object{{"mediaType", "application/vnd.oci.image.layer.v1.tar"},
                                     {"digest", layer.diff_id},
                                     {"size", fs::file_size(layer.file, failed)}});
  }
  manifest =
      json::serialize(json::object{{"schemaVersion", 2},
                                   {"mediaType", "application/vnd.oci.image.manifest.v1+json"},
                                   {"config",
                                    {{"mediaType", "application/vnd.oci.image.config.v1+json"},
                                     {"digest", "sha256:" + Sha256Hex(configuration)},
                                     {"size", configuration.size()}}},
                                   {"layers", std::move(described)}});
  return {};
}

Result<void> ImageArchive::AddLayers(const std::vector<std::string>& files) {
  boost::system::error_code failed;
  const auto document = json::parse(configuration, failed);
  const auto& ids = List(JsonMember(document, "rootfs"), "diff_ids");
  if (failed || ids.size() != files.size()) {
    return Fail(Code::kInvalid, fmt::format("the image has {} layers, and its configuration names "
                                            "{} (rootfs.diff_ids)",
                                            files.size(), ids.size()));
  }
  for (std::size_t i = 0; i < files.size(); ++i) {
    layers.push_back({ids[i].is_string() ? std::string(ids[i].as_string()) : "", files[i]});
  }
  return {};
}

}  // namespace samovar
