#pragma once
// ElfFile: what the dynamic loader reads of a program or library before it runs any of it.
//
// How      elfutils' libelf reads the headers, the dynamic section and the version tables through
//          the program headers, as the loader does; section headers may be stripped or lie.
// Errors   ReadElf: kInvalid for a file that begins as ELF and is damaged. A file of another class,
//          byte order or processor is no error: only what its header says is read.
// Threads  Safe.
// Source   System V gABI, chapters 4 and 5; LSB "Symbol Versioning"; x86-64 psABI, section 2.1.3
//          (.note.gnu.property).

#include <cstdint>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

struct ElfFile {
  struct NeededVersion {
    std::string library;  // soname, as in `needed`
    std::string version;  // "GLIBC_2.38"
  };

  std::string machine;      // "x86_64", "aarch64", "i386", "machine 243"
  bool native = false;      // for this machine; else nothing below is read
  bool program = false;     // may be executed: it has an interpreter, or is of type EXEC
  std::string interpreter;  // "/lib64/ld-linux-x86-64.so.2", or "" where it has none
  std::string soname;
  std::vector<std::string> needed;            // DT_NEEDED, in order
  std::vector<std::string> rpath, runpath;    // as written, $ORIGIN and all
  std::vector<NeededVersion> needs_versions;  // without weak ones
  std::set<std::string> versions;             // that it defines
  std::uint32_t isa_needed = 0;  // GNU_PROPERTY_X86_ISA_1_NEEDED: bit 1 is x86-64-v2, 2 v3, 3 v4
};

// nullopt: the file is not ELF.
Result<std::optional<ElfFile>> ReadElf(const std::string& path);

// Whether a native file has `name` among its dynamic symbols, defined. False where it is damaged.
bool DefinesSymbol(const std::string& path, std::string_view name);

// "x86_64"
std::string_view HostMachine();

// The psABI levels that this processor has, as bits of ElfFile::isa_needed.
std::uint32_t HostIsa();

}  // namespace samovar
