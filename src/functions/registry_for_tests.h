#pragma once
// RegistryTest: a registry over a MemoryStore and a package store in a temporary directory, with a
// loop that a test turns until its answer is there.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <atomic>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/thread_pool.hpp>
#include <boost/json.hpp>
#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <mutex>
#include <set>
#include <string>

#include "base/clock.h"
#include "functions/registry.h"
#include "store/memory_store.h"
#include "store/package_store.h"
#include "store/zip_for_tests.h"

namespace samovar {

namespace json = boost::json;

// A package store whose unpacking can be held, so that a test sees what is under way.
class GatedPackages final : public PackageStore {
 public:
  explicit GatedPackages(std::unique_ptr<PackageStore> inner) : inner_(std::move(inner)) {}

  void Hold() {
    const std::lock_guard lock(mutex_);
    held_ = true;
  }
  void Release() {
    const std::lock_guard lock(mutex_);
    held_ = false;
    released_.notify_all();
  }

  Result<std::string> NewStagingFile() override { return inner_->NewStagingFile(); }
  void Discard(const std::string& path) override { inner_->Discard(path); }
  Result<PackageInfo> Import(const std::string& path) override { return inner_->Import(path); }
  Result<ManifestTaken> ImportManifest(const std::string& path) override {
    return inner_->ImportManifest(path);
  }
  Result<void> KeepFiles(const std::string& path) override { return inner_->KeepFiles(path); }
  Result<PackageInfo> Find(const std::string& hash) override { return inner_->Find(hash); }
  Result<std::string> Unpack(const std::string& hash) override {
    {
      std::unique_lock lock(mutex_);
      released_.wait(lock, [this] { return !held_; });
    }
    return inner_->Unpack(hash);
  }
  std::string BlobPath(const std::string& hash) const override { return inner_->BlobPath(hash); }
  Result<PackagePieces> Read(const std::string& hash) override { return inner_->Read(hash); }
  Result<bool> Holds(const std::string& hash, const std::string& name) override {
    return inner_->Holds(hash, name);
  }
  Result<Bytes> Prune(const std::set<std::string>& used) override { return inner_->Prune(used); }
  Result<PackageListing> List() override { return inner_->List(); }
  Result<void> Collect(const std::set<std::string>& used) override {
    auto result = inner_->Collect(used);
    ++collections_;
    return result;
  }
  int Collections() const { return collections_; }

 private:
  std::unique_ptr<PackageStore> inner_;
  std::mutex mutex_;
  std::condition_variable released_;
  bool held_ = false;
  std::atomic<int> collections_ = 0;
};

class RegistryTest : public testing::Test {
 protected:
  static constexpr const char* kArn = "arn:aws:lambda:us-east-1:000000000000:function:";
  static constexpr const char* kRole = "arn:aws:iam::000000000000:role/r";

  RegistryTest() {
    std::string path = testing::TempDir() + "samovar-registry-XXXXXX";
    dir_ = mkdtemp(path.data());
    packages_ = std::make_unique<GatedPackages>(*OpenPackageStore(dir_, {}));
    options_.random = [this] { return drawn_; };
    options_.missing_runtime = [](std::string_view runtime) -> std::optional<std::string> {
      if (runtime != "python3.9") return std::nullopt;
      return "there is python3.11 only";
    };
    Open();
  }
  ~RegistryTest() override {
    packages_->Release();
    registry_.reset();
    pool_.join();
    std::filesystem::remove_all(dir_);
  }

  void Open() {
    registry_.reset();
    auto registry = OpenRegistry(options_, kv_, *packages_, pool_, loop_.get_executor(), clock_);
    ASSERT_TRUE(registry) << registry.error().message;
    registry_ = std::move(*registry);
    registry_->OnRetired([this](const std::string& key) { retired_.push_back(key); });
  }

  template <class T>
  T Await(Task<T> task) {
    std::optional<T> out;
    asio::co_spawn(loop_, std::move(task), [&](std::exception_ptr failed, T result) {
      if (failed) std::rethrow_exception(failed);
      out = std::move(result);
    });
    while (!out) loop_.run_one();
    return std::move(*out);
  }

  Result<json::object> Try(std::string operation, std::string_view input) {
    return Await(registry_->Execute(std::move(operation), json::parse(input).as_object()));
  }
  Result<json::object> Try(std::string operation, json::object input) {
    return Await(registry_->Execute(std::move(operation), std::move(input)));
  }
  template <class Input>
  json::object Run(std::string operation, Input input) {
    auto answer = Try(operation, std::move(input));
    EXPECT_TRUE(answer) << operation << ": " << answer.error().message;
    return answer ? std::move(*answer) : json::object();
  }
  // "Name: message" of the error, or "" where the operation works.
  template <class Input>
  std::string ErrorOf(std::string operation, Input input) {
    const auto answer = Try(std::move(operation), std::move(input));
    if (answer) return "";
    return std::string(answer.error().name) + ": " + answer.error().message;
  }

  Result<Resolved> Resolve(std::string name, std::string qualifier = "") {
    return Await(registry_->Resolve(std::move(name), std::move(qualifier)));
  }

  std::string Stage(const std::string& bytes) {
    const auto path = *packages_->NewStagingFile();
    std::ofstream(path, std::ios::binary) << bytes;
    return path;
  }
  std::string StageCode(const std::string& text) {
    return Stage(ZipForTests().Add("app.py", text).Bytes());
  }
  // A central directory in order, contents damaged: known only when it is unpacked.
  std::string StageDamaged() {
    return Stage(ZipForTests().Add({"app.py", "x", 0100644, 1}).Bytes());
  }

  json::object CreateInput(const std::string& name, const std::string& code = "1") {
    return {{"FunctionName", name},
            {"Runtime", "python3.11"},
            {"Role", kRole},
            {"Handler", "app.handler"},
            {"Code", json::object{{"StagedPath", StageCode(code)}}}};
  }
  // Creates and waits until it is Active.
  json::object Create(const std::string& name, const std::string& code = "1") {
    auto answer = Run("CreateFunction", CreateInput(name, code));
    EXPECT_TRUE(Resolve(name));
    return answer;
  }
  json::object UpdateCode(const std::string& name, const std::string& code) {
    auto answer = Run("UpdateFunctionCode",
                      json::object{{"FunctionName", name}, {"StagedPath", StageCode(code)}});
    Settle(name);
    return answer;
  }
  json::object Configuration(const std::string& name, const std::string& qualifier = "") {
    json::object input{{"FunctionName", name}};
    if (!qualifier.empty()) input["Qualifier"] = qualifier;
    return Run("GetFunctionConfiguration", input);
  }
  // Turns the loop until nothing of the function is under way.
  void Settle(const std::string& name) {
    for (;;) {
      const auto configuration = Configuration(name);
      const auto* update = configuration.if_contains("LastUpdateStatus");
      if (configuration.at("State") != "Pending" && (!update || *update != "InProgress")) return;
      // What ends it may have run inside Configuration: then no more comes, so never block.
      loop_.run_one_for(std::chrono::milliseconds(5));
    }
  }
  std::size_t Staged() const {
    return static_cast<std::size_t>(
        std::distance(std::filesystem::directory_iterator(dir_ + "/staging"),
                      std::filesystem::directory_iterator()));
  }

  std::string dir_;
  asio::io_context loop_;
  asio::executor_work_guard<asio::io_context::executor_type> work_{loop_.get_executor()};
  BlockingPool pool_{4};
  FakeClock clock_;
  MemoryStore kv_;
  RegistryOptions options_;
  std::unique_ptr<GatedPackages> packages_;
  std::unique_ptr<Registry> registry_;
  std::vector<std::string> retired_;
  double drawn_ = 0.99;
};

}  // namespace samovar
