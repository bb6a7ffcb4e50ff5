#include "gateway/staging_writer.h"

#include <filesystem>
#include <system_error>

namespace samovar {

StagingWriter::~StagingWriter() {
  file_.close();
  std::error_code ignored;
  if (!path_.empty()) std::filesystem::remove(path_, ignored);
}

Result<void> StagingWriter::Open() {
  if (!path_.empty()) return {};
  TRY(path_, packages_.NewStagingFile());
  file_.open(path_, std::ios::binary | std::ios::trunc);
  if (!file_) return Fail(Code::kUnavailable, "keep the upload: the disk refuses a new file");
  return {};
}

Result<void> StagingWriter::Append(std::string_view bytes) {
  TRY(Open());
  written_ = written_ + Bytes{bytes.size()};
  if (written_ > bound_) {
    return Fail(Code::kTooLarge,
                "Zipped size must be smaller than " + std::to_string(bound_.count) + " bytes",
                "RequestEntityTooLargeException");
  }
  if (!file_.write(bytes.data(), static_cast<std::streamsize>(bytes.size()))) {
    return Fail(Code::kUnavailable, "keep the upload: the disk is full or failing");
  }
  return {};
}

Result<std::string> StagingWriter::Close() {
  TRY(Open());
  file_.close();
  if (!file_) return Fail(Code::kUnavailable, "keep the upload: the disk is full or failing");
  return path_;
}

}  // namespace samovar
