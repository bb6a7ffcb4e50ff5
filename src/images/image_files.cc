// ImageStore on a directory (image_store.h says how it is laid out).

#include <fcntl.h>
#include <fmt/format.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/json/object.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/serialize.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <sstream>

#include "base/ids.h"
#include "base/log.h"
#include "images/image_store.h"
#include "os/fd.h"
#include "os/run_program.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;
namespace json = boost::json;

constexpr auto kKeepFresh = std::chrono::hours(1);
constexpr auto kUnpackWithin = std::chrono::hours(1);

Result<void> Sync(const std::string& path, int flags) {
  const Fd file(::open(path.c_str(), flags | O_CLOEXEC));
  if (!file || ::fsync(file.Get()) != 0) return std::unexpected(ErrnoError("sync " + path));
  return {};
}

Result<json::object> ReadDocument(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  std::ostringstream text;
  text << in.rdbuf();
  boost::system::error_code failed;
  auto value = json::parse(text.str(), failed);
  if (!in || failed || !value.is_object()) {
    return Fail(Code::kInternal, "read " + path + ": it is damaged");
  }
  const auto* format = value.get_object().if_contains("format");
  if (!format || !format->is_int64() || format->get_int64() != 1) {
    return Fail(Code::kInternal, "read " + path + ": it is of a newer format");
  }
  return std::move(value.get_object());
}

bool IsFresh(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) return false;
  const auto age = std::chrono::system_clock::now() -
                   std::chrono::system_clock::from_time_t(about.st_mtim.tv_sec);
  return age < kKeepFresh;
}

struct Layer {
  Bytes size;
  bool covers_all = false;
};

class ImageFiles final : public ImageStore {
 public:
  ImageFiles(std::string directory, ImageOptions options)
      : top_(directory + "/"),
        layers_dir_(directory + "/layers/"),
        images_dir_(directory + "/images/"),
        staging_(directory + "/staging/"),
        options_(std::move(options)) {}

  Result<void> Open();
  bool HasLayer(const std::string& diff_id) const override {
    const std::lock_guard lock(mutex_);
    return layers_.contains(diff_id);
  }
  Result<void> TakeLayer(const std::string& diff_id, const std::string& file) override;
  Result<ImageNamed> Name(std::string_view name, const std::string& manifest,
                          const std::string& configuration) override;
  Result<ImagePtr> Find(std::string_view reference) const override;
  Result<StoredImage> Show(std::string_view reference) const override;
  std::vector<StoredImage> List() const override;
  Result<void> Forget(std::string_view name) override;
  std::vector<std::string> Folders(const Image& image) const override;
  Result<void> Collect(const std::set<std::string>& used) override;

 private:
  Result<void> LoadLayers();
  Result<void> LoadImages();
  Result<void> LoadNames();
  Result<Layer> Unpack(const std::string& diff_id, const std::string& file,
                       const std::string& partial) const;
  Result<void> Write(const std::string& path, const json::object& document) const;
  Result<void> WriteNames(const std::map<std::string, std::string>& names) const;
  StoredImage Describe(const ImagePtr& image) const;  // REQUIRES mutex_

  const std::string top_, layers_dir_, images_dir_, staging_;
  const ImageOptions options_;
  mutable std::mutex mutex_;  // guards all below, and orders Name() against Collect()
  std::condition_variable done_;
  std::map<std::string, Layer> layers_;
  std::map<std::string, ImagePtr> images_;    // by digest
  std::map<std::string, std::string> names_;  // -> digest
  std::set<std::string> busy_;                // layers that are being unpacked
};

Result<void> ImageFiles::Open() {
  std::error_code failed;
  fs::remove_all(staging_, failed);
  for (const auto& path : {layers_dir_, images_dir_, staging_}) {
    fs::create_directories(path, failed);
    if (failed) return std::unexpected(ErrnoError("create " + path, failed.value()));
  }
  TRY(LoadLayers());
  TRY(LoadImages());
  return LoadNames();
}

Result<void> ImageFiles::LoadLayers() {
  for (const auto& entry : fs::directory_iterator(layers_dir_)) {
    TRY(const auto about, ReadDocument(entry.path().string() + "/about.json"));
    layers_[entry.path().filename()] = {Bytes{about.at("size").to_number<std::uint64_t>()},
                                        about.at("covers_all").as_bool()};
  }
  return {};
}

Result<void> ImageFiles::LoadImages() {
  for (const auto& entry : fs::directory_iterator(images_dir_)) {
    TRY(const auto document, ReadDocument(entry.path()));
    TRY(auto image,
        ReadImage(document.at("manifest").as_string(), document.at("configuration").as_string()));
    auto digest = image.digest;
    images_[std::move(digest)] = std::make_shared<const Image>(std::move(image));
  }
  return {};
}

Result<void> ImageFiles::LoadNames() {
  std::error_code ignored;
  if (!fs::exists(top_ + "names.json", ignored)) return {};
  TRY(const auto document, ReadDocument(top_ + "names.json"));
  for (const auto& [name, digest] : document.at("names").as_object()) {
    names_[name] = digest.as_string();
  }
  return {};
}

Result<void> ImageFiles::Write(const std::string& path, const json::object& document) const {
  const auto partial = staging_ + RandomHex(32);
  {
    std::ofstream out(partial, std::ios::binary);
    out << json::serialize(document);
    if (!out.flush()) return Fail(Code::kUnavailable, "write " + path + ": the disk refuses");
  }
  TRY(Sync(partial, O_WRONLY));
  if (::rename(partial.c_str(), path.c_str()) != 0) {
    return std::unexpected(ErrnoError("write " + path));
  }
  return Sync(fs::path(path).parent_path(), O_RDONLY | O_DIRECTORY);
}

Result<void> ImageFiles::WriteNames(const std::map<std::string, std::string>& names) const {
  json::object list;
  for (const auto& [name, digest] : names) list[name] = digest;
  return Write(top_ + "names.json", {{"format", 1}, {"names", std::move(list)}});
}

Result<Layer> ImageFiles::Unpack(const std::string& diff_id, const std::string& file,
                                 const std::string& partial) const {
  for (const auto& folder : {partial, partial + "/tree"}) {
    if (::mkdir(folder.c_str(), 0755) != 0 || ::chmod(folder.c_str(), 0755) != 0) {
      return std::unexpected(ErrnoError("create " + folder));
    }
  }
  TRY(const auto said,
      RunProgram({options_.unpacker, file, partial + "/tree", diff_id,
                  std::to_string(options_.max_unpacked.count), std::to_string(options_.max_files)},
                 kUnpackWithin));
  boost::system::error_code failed;
  const auto report = json::parse(said, failed);
  if (failed || !report.is_object()) {
    return Fail(Code::kInvalid, "the layer could not be unpacked: its unpacker ended early");
  }
  const auto& told = report.get_object();
  if (const auto* error = told.if_contains("error")) {
    return Fail(static_cast<Code>(told.at("code").to_number<int>()),
                std::string(error->as_string()));
  }
  Layer layer{Bytes{told.at("size").to_number<std::uint64_t>()}, told.at("covers_all").as_bool()};
  TRY(Write(partial + "/about.json",
            {{"format", 1}, {"size", layer.size.count}, {"covers_all", layer.covers_all}}));
  return layer;
}

Result<void> ImageFiles::TakeLayer(const std::string& diff_id, const std::string& file) {
  {
    std::unique_lock lock(mutex_);
    done_.wait(lock, [&] { return !busy_.contains(diff_id); });
    if (layers_.contains(diff_id)) {
      (void)::utimensat(AT_FDCWD, (layers_dir_ + diff_id).c_str(), nullptr, 0);
      return {};
    }
    busy_.insert(diff_id);
  }
  const auto partial = staging_ + RandomHex(32);
  auto layer = Unpack(diff_id, file, partial);
  if (layer && ::rename(partial.c_str(), (layers_dir_ + diff_id).c_str()) != 0) {
    layer = std::unexpected(ErrnoError("keep a layer"));
  }
  Result<void> kept;
  if (layer) {
    kept = Sync(layers_dir_, O_RDONLY | O_DIRECTORY);
  } else {
    std::error_code ignored;
    fs::remove_all(partial, ignored);
    kept = std::unexpected(layer.error());
  }
  const std::lock_guard lock(mutex_);
  if (kept) layers_[diff_id] = *layer;
  busy_.erase(diff_id);
  done_.notify_all();
  return kept;
}

Result<ImageNamed> ImageFiles::Name(std::string_view name, const std::string& manifest,
                                    const std::string& configuration) {
  TRY(auto full, FullImageName(name));
  TRY(auto read, ReadImage(manifest, configuration));
  ImageNamed named{std::make_shared<const Image>(std::move(read)), {}};
  const auto& digest = named.image->digest;
  const std::lock_guard lock(mutex_);
  for (const auto& layer : named.image->layers) {
    const bool listed = std::ranges::find(named.missing, layer) != named.missing.end();
    if (!layers_.contains(layer) && !listed) named.missing.push_back(layer);
  }
  if (!named.missing.empty()) return named;
  if (!images_.contains(digest)) {
    TRY(Write(images_dir_ + digest + ".json",
              {{"format", 1}, {"manifest", manifest}, {"configuration", configuration}}));
  }
  auto names = names_;
  names[std::move(full)] = digest;
  TRY(WriteNames(names));
  images_.emplace(digest, named.image);
  names_ = std::move(names);
  return named;
}

Result<ImagePtr> ImageFiles::Find(std::string_view reference) const {
  const auto at = reference.find('@');
  const bool by_digest = at != reference.npos || reference.starts_with("sha256:");
  std::string digest;
  const std::lock_guard lock(mutex_);
  if (by_digest) {
    TRY(digest, ReadDigest(at == reference.npos ? reference : reference.substr(at + 1),
                           fmt::format("image {}", reference)));
  } else {
    TRY(const auto name, FullImageName(reference));
    const auto found = names_.find(name);
    if (found != names_.end()) digest = found->second;
  }
  const auto image = images_.find(digest);
  if (image == images_.end()) {
    return Fail(Code::kNotFound, fmt::format("there is no image {}", reference.substr(0, 400)));
  }
  return image->second;
}

StoredImage ImageFiles::Describe(const ImagePtr& image) const {
  StoredImage stored{image, {}, {}};
  for (const auto& [name, digest] : names_) {
    if (digest == image->digest) stored.names.push_back(name);
  }
  for (const auto& id : std::set(image->layers.begin(), image->layers.end())) {
    if (const auto layer = layers_.find(id); layer != layers_.end()) {
      stored.size = stored.size + layer->second.size;
    }
  }
  return stored;
}

Result<StoredImage> ImageFiles::Show(std::string_view reference) const {
  TRY(const auto image, Find(reference));
  const std::lock_guard lock(mutex_);
  return Describe(image);
}

std::vector<StoredImage> ImageFiles::List() const {
  const std::lock_guard lock(mutex_);
  std::vector<StoredImage> list;
  for (const auto& [digest, image] : images_) list.push_back(Describe(image));
  return list;
}

Result<void> ImageFiles::Forget(std::string_view name) {
  TRY(const auto full, FullImageName(name));
  const std::lock_guard lock(mutex_);
  auto names = names_;
  if (names.erase(full) == 0) return Fail(Code::kNotFound, "there is no image " + full);
  TRY(WriteNames(names));
  names_ = std::move(names);
  return {};
}

// A layer that comes again higher up shows there what it has, and hides all that it hides; and
// overlayfs takes no folder twice.
std::vector<std::string> ImageFiles::Folders(const Image& image) const {
  std::vector<std::string> folders;
  std::set<std::string> seen;
  const std::lock_guard lock(mutex_);
  for (auto id = image.layers.rbegin(); id != image.layers.rend(); ++id) {
    if (!seen.insert(*id).second) continue;
    folders.push_back(layers_dir_ + *id + "/tree");
    const auto layer = layers_.find(*id);
    if (layer != layers_.end() && layer->second.covers_all) break;
  }
  std::ranges::reverse(folders);
  return folders;
}

Result<void> ImageFiles::Collect(const std::set<std::string>& used) {
  std::vector<std::string> trash;
  int images = 0;
  {
    const std::lock_guard lock(mutex_);
    std::set<std::string> kept_images, kept_layers;
    for (const auto& [name, digest] : names_) kept_images.insert(digest);
    for (auto at = images_.begin(); at != images_.end();) {
      const auto path = images_dir_ + at->first + ".json";
      if (kept_images.contains(at->first) || used.contains(at->first) || IsFresh(path)) {
        kept_layers.insert(at->second->layers.begin(), at->second->layers.end());
        ++at;
        continue;
      }
      if (::unlink(path.c_str()) != 0) return std::unexpected(ErrnoError("remove " + path));
      at = images_.erase(at);
      ++images;
    }
    TRY(Sync(images_dir_, O_RDONLY | O_DIRECTORY));  // before the layers that they need
    for (auto at = layers_.begin(); at != layers_.end();) {
      const auto path = layers_dir_ + at->first;
      if (kept_layers.contains(at->first) || IsFresh(path)) {
        ++at;
        continue;
      }
      trash.push_back(staging_ + "old-" + RandomHex(32));
      if (::rename(path.c_str(), trash.back().c_str()) != 0) {
        return std::unexpected(ErrnoError("remove " + path));
      }
      at = layers_.erase(at);
    }
  }
  std::error_code ignored;
  for (const auto& path : trash) fs::remove_all(path, ignored);
  if (images > 0 || !trash.empty()) {
    LogInfo("removed {} images and {} layers that nothing uses", images, trash.size());
  }
  return {};
}

}  // namespace

Result<std::unique_ptr<ImageStore>> OpenImageStore(const std::string& directory,
                                                   ImageOptions options) {
  auto store = std::make_unique<ImageFiles>(directory, std::move(options));
  try {
    TRY(store->Open());
  } catch (const std::exception& error) {
    return Fail(Code::kInternal, fmt::format("open {}: {}", directory, error.what()));
  }
  return store;
}

}  // namespace samovar
