#pragma once
// MakeTar: a layer, as tests want it.

#include <archive.h>
#include <archive_entry.h>
#include <fcntl.h>

#include <string>
#include <vector>

namespace samovar {

struct TarEntry {
  std::string name;
  std::string text = {};  // of a file, or the target of a link
  unsigned type = AE_IFREG;
  unsigned mode = 0644;
  bool hard_link = false;
};

inline std::string MakeTar(const std::vector<TarEntry>& entries, bool gzip = false) {
  std::string out;
  archive* tar = archive_write_new();
  archive_write_set_format_pax_restricted(tar);
  if (gzip) archive_write_add_filter_gzip(tar);
  archive_write_set_bytes_in_last_block(tar, 1);
  auto append = [](archive*, void* to, const void* bytes, std::size_t size) {
    static_cast<std::string*>(to)->append(static_cast<const char*>(bytes), size);
    return static_cast<la_ssize_t>(size);
  };
  archive_write_open(tar, &out, nullptr, append, nullptr);
  for (const auto& one : entries) {
    archive_entry* entry = archive_entry_new();
    archive_entry_set_pathname(entry, one.name.c_str());
    archive_entry_set_perm(entry, static_cast<mode_t>(one.mode));
    archive_entry_set_filetype(entry, one.type);
    archive_entry_set_mtime(entry, 1'700'000'000, 0);
    const bool file = one.type == AE_IFREG && !one.hard_link;
    archive_entry_set_size(entry, file ? static_cast<la_int64_t>(one.text.size()) : 0);
    if (one.hard_link) archive_entry_set_hardlink(entry, one.text.c_str());
    if (one.type == AE_IFLNK) archive_entry_set_symlink(entry, one.text.c_str());
    archive_write_header(tar, entry);
    if (file) archive_write_data(tar, one.text.data(), one.text.size());
    archive_entry_free(entry);
  }
  archive_write_close(tar);
  archive_write_free(tar);
  return out;
}

}  // namespace samovar
