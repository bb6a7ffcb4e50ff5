#pragma once
// ZipForTests: zips written byte by byte, so that tests can make the broken and hostile ones that
// no zip program would. Entries are stored, not compressed.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace samovar {

class ZipForTests {
 public:
  struct Entry {
    std::string name;
    std::string data;
    std::uint32_t mode = 0100644;  // st_mode
    std::uint32_t crc_error = 0;   // xor-ed into the CRC
    std::uint16_t flags = 0x0800;  // UTF-8 names
  };

  ZipForTests& Add(std::string name, std::string data, std::uint32_t mode = 0100644) {
    entries_.push_back({std::move(name), std::move(data), mode});
    return *this;
  }
  ZipForTests& Add(Entry entry) {
    entries_.push_back(std::move(entry));
    return *this;
  }
  ZipForTests& Link(std::string name, std::string target) {
    return Add(std::move(name), std::move(target), 0120777);
  }

  std::string Bytes() const {
    std::string out, directory;
    for (const auto& e : entries_) {
      const auto offset = out.size();
      const auto crc = Crc(e.data) ^ e.crc_error;
      std::string common;
      Put(common, 20, 2);
      Put(common, e.flags, 2);
      Put(common, 0, 2);  // stored
      Put(common, kTime, 4);
      Put(common, crc, 4);
      Put(common, e.data.size(), 4);
      Put(common, e.data.size(), 4);
      Put(common, e.name.size(), 2);
      Put(common, 0, 2);
      out += "PK\3\4" + common + e.name + e.data;
      directory += "PK\1\2";
      Put(directory, 3 << 8 | 30, 2);  // made on Unix
      directory += common;
      Put(directory, 0, 2);
      Put(directory, 0, 2);
      Put(directory, 0, 2);
      Put(directory, std::uint64_t{e.mode} << 16, 4);
      Put(directory, offset, 4);
      directory += e.name;
    }
    const auto offset = out.size();
    out += directory + "PK\5\6";
    Put(out, 0, 4);
    Put(out, entries_.size(), 2);
    Put(out, entries_.size(), 2);
    Put(out, directory.size(), 4);
    Put(out, offset, 4);
    Put(out, 0, 2);
    return out;
  }

 private:
  static constexpr std::uint32_t kTime = 0x5965'6000;  // 2024-11-05 12:00, as DOS has it

  static void Put(std::string& out, std::uint64_t value, int size) {
    for (int i = 0; i < size; ++i) out += static_cast<char>(value >> (8 * i));
  }
  static std::uint32_t Crc(std::string_view data) {
    std::uint32_t crc = ~0U;
    for (const char c : data) {
      crc ^= static_cast<unsigned char>(c);
      for (int bit = 0; bit < 8; ++bit) crc = crc >> 1 ^ (crc & 1 ? 0xEDB88320U : 0);
    }
    return ~crc;
  }

  std::vector<Entry> entries_;
};

}  // namespace samovar
