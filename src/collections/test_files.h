#pragma once
// TestFolder, FailingDisk: what the tests of this room stand on.

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <functional>
#include <string>

#include "collections/disk.h"

namespace samovar {

// A folder that goes away with the test.
class TestFolder {
 public:
  TestFolder() : path_(::testing::TempDir() + "collectionsXXXXXX") {
    CHECK(::mkdtemp(path_.data()) != nullptr);
  }
  ~TestFolder() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  TestFolder(const TestFolder&) = delete;
  const std::string& Path() const { return path_; }

 private:
  std::string path_;
};

// The n-th call from now fails, and `also` further ones; a write that fails wrote half of it.
class FailingDisk final : public Disk {
 public:
  void FailAt(int n, int also = 0) {
    from_ = calls_ + n;
    to_ = from_ + also;
  }
  // No file whose path has that part can be made.
  void RefuseToCreate(std::string part) { refused_ = std::move(part); }
  void Heal() {
    from_ = to_ = 0;
    refused_.clear();
  }
  // Something happens just before the n-th call from now.
  void CallAt(int n, std::function<void()> what) {
    what_at_ = calls_ + n;
    what_ = std::move(what);
  }
  int Calls() const { return calls_; }
  bool Failed() const { return failed_; }
  // So many bytes, as the disk tells who asks before long work.
  void HaveRoom(std::uint64_t bytes) { room_ = bytes; }

  Result<Fd> Create(const std::string& path) override {
    if (Fails() || (!refused_.empty() && path.contains(refused_))) return Refused(path);
    return Disk::Create(path);
  }
  Result<void> Write(int fd, std::uint64_t at, std::string_view bytes,
                     const std::string& path) override {
    if (!Fails()) return Disk::Write(fd, at, bytes, path);
    CHECK(Disk::Write(fd, at, bytes.substr(0, bytes.size() / 2), path).has_value());
    return Refused(path);
  }
  Result<void> WriteHuge(int fd, std::uint64_t at, std::string_view bytes,
                         const std::string& path) override {
    if (!Fails()) return Disk::WriteHuge(fd, at, bytes, path);
    CHECK(Disk::Write(fd, at, bytes.substr(0, bytes.size() / 2), path).has_value());
    return Refused(path);
  }
  Result<void> Reserve(int fd, std::uint64_t size, const std::string& path) override {
    if (Fails()) return Refused(path);
    return Disk::Reserve(fd, size, path);
  }
  Result<void> Truncate(int fd, std::uint64_t size, const std::string& path) override {
    if (Fails()) return Refused(path);
    return Disk::Truncate(fd, size, path);
  }
  Result<void> Sync(int fd, const std::string& path) override {
    if (Fails()) return Refused(path);
    return Disk::Sync(fd, path);
  }
  Result<void> Rename(const std::string& from, const std::string& to) override {
    if (Fails()) return Refused(to);
    return Disk::Rename(from, to);
  }
  Result<void> SyncFolder(const std::string& path) override {
    if (Fails()) return Refused(path);
    return Disk::SyncFolder(path);
  }
  Result<void> CheckRoom(const std::string& folder, std::uint64_t bytes) override {
    if (Fails() || bytes > room_) return Refused(folder);
    return Disk::CheckRoom(folder, bytes);
  }

 private:
  bool Fails() {
    ++calls_;
    if (calls_ == what_at_) what_();
    const bool fails = from_ != 0 && calls_ >= from_ && calls_ <= to_;
    failed_ = failed_ || fails;
    return fails;
  }
  static std::unexpected<Error> Refused(const std::string& path) {
    return Fail(Code::kUnavailable, path + ": the test's disk refuses");
  }
  int calls_ = 0;
  int from_ = 0;
  int to_ = 0;
  int what_at_ = 0;
  std::string refused_;
  std::function<void()> what_;
  bool failed_ = false;
  std::uint64_t room_ = ~std::uint64_t{0};
};

}  // namespace samovar
