#include "packages/elf_file.h"

#include <elf.h>
#include <fcntl.h>
#include <fmt/format.h>
#include <gelf.h>
#include <libelf.h>

#include <algorithm>
#include <cstring>
#include <memory>

#include "os/fd.h"

namespace samovar {
namespace {

// Bounds on what one file may make us read; sound files stay far below.
constexpr std::size_t kMaxDynamic = 4096;
constexpr std::size_t kMaxVersions = 20'000;
constexpr std::size_t kMaxSymbols = 4'000'000;
constexpr std::size_t kMaxName = 4096;

#if defined(__x86_64__)
constexpr std::uint16_t kHostMachine = EM_X86_64;
#elif defined(__aarch64__)
constexpr std::uint16_t kHostMachine = EM_AARCH64;
#else
#error "which ELF machine is this?"
#endif

std::string MachineName(std::uint16_t machine) {
  switch (machine) {
    case EM_X86_64:
      return "x86_64";
    case EM_AARCH64:
      return "aarch64";
    case EM_386:
      return "i386";
    case EM_ARM:
      return "arm";
    case EM_PPC64:
      return "ppc64";
    case EM_S390:
      return "s390x";
    case EM_RISCV:
      return "riscv";
    default:
      return fmt::format("machine {}", machine);
  }
}

struct EndElf {
  void operator()(Elf* elf) const { elf_end(elf); }
};
using ElfPtr = std::unique_ptr<Elf, EndElf>;

// One open file. Every offset and size comes from the file, so libelf checks each against its end.
class Reader {
 public:
  Reader(Elf* elf, ElfFile& file) : elf_(elf), file_(file) {}

  Result<void> Run() {
    std::size_t count = 0;
    if (elf_getphdrnum(elf_, &count) != 0) return Damaged("program headers");
    for (std::size_t i = 0; i < count; ++i) {
      GElf_Phdr header;
      if (!gelf_getphdr(elf_, static_cast<int>(i), &header)) return Damaged("program headers");
      if (header.p_type == PT_LOAD) loads_.push_back(header);
      if (header.p_type == PT_DYNAMIC) dynamic_ = header;
      if (header.p_type == PT_INTERP) file_.interpreter = Interpreter(header);
      if (header.p_type == PT_GNU_PROPERTY || header.p_type == PT_NOTE) ReadNotes(header);
    }
    file_.program = file_.program || !file_.interpreter.empty();
    return dynamic_.p_type == PT_DYNAMIC ? ReadDynamic() : Result<void>();
  }

 private:
  static Result<void> Damaged(std::string_view what) {
    return Fail(Code::kInvalid, fmt::format("it is a damaged ELF file ({})", what));
  }

  Elf_Data* Chunk(std::uint64_t offset, std::uint64_t size, Elf_Type type) {
    return elf_getdata_rawchunk(elf_, static_cast<std::int64_t>(offset), size, type);
  }

  // Where an address lies in the file, and how much of its segment follows there.
  struct Place {
    std::uint64_t offset, size;
  };
  std::optional<Place> PlaceOf(std::uint64_t address) const {
    for (const auto& load : loads_) {
      if (address < load.p_vaddr || address - load.p_vaddr >= load.p_filesz) continue;
      const auto into = address - load.p_vaddr;
      return Place{load.p_offset + into, load.p_filesz - into};
    }
    return std::nullopt;
  }

  std::string Interpreter(const GElf_Phdr& header) {
    const auto* data =
        header.p_filesz <= kMaxName ? Chunk(header.p_offset, header.p_filesz, ELF_T_BYTE) : nullptr;
    if (!data) return "?";
    const auto* text = static_cast<const char*>(data->d_buf);
    return std::string(text, strnlen(text, data->d_size));
  }

  void ReadNotes(const GElf_Phdr& header) {
    const auto type = header.p_align == 8 ? ELF_T_NHDR8 : ELF_T_NHDR;
    auto* data = Chunk(header.p_offset, header.p_filesz, type);
    if (!data) return;
    GElf_Nhdr note;
    std::size_t name_at = 0, at = 0;
    for (std::size_t next = 0; (next = gelf_getnote(data, next, &note, &name_at, &at)) > 0;) {
      const auto* bytes = static_cast<const char*>(data->d_buf);
      if (note.n_type != NT_GNU_PROPERTY_TYPE_0 || note.n_namesz != 4 ||
          std::memcmp(bytes + name_at, "GNU", 4) != 0) {
        continue;
      }
      ReadProperties(std::string_view(bytes + at, note.n_descsz));
    }
  }

  void ReadProperties(std::string_view bytes) {
    while (bytes.size() >= 8) {
      std::uint32_t type = 0, size = 0, value = 0;
      std::memcpy(&type, bytes.data(), 4);
      std::memcpy(&size, bytes.data() + 4, 4);
      bytes.remove_prefix(8);
      if (size > bytes.size()) return;
      if (type == GNU_PROPERTY_X86_ISA_1_NEEDED && size == 4) {
        std::memcpy(&value, bytes.data(), 4);
        file_.isa_needed |= value;
      }
      bytes.remove_prefix(std::min<std::size_t>(bytes.size(), (size + 7u) & ~7u));
    }
  }

  Result<void> ReadDynamic() {
    auto* data = Chunk(dynamic_.p_offset, dynamic_.p_filesz, ELF_T_DYN);
    if (!data) return Damaged("dynamic section");
    std::vector<GElf_Dyn> entries;
    GElf_Dyn entry;
    for (int i = 0; gelf_getdyn(data, i, &entry) && entry.d_tag != DT_NULL; ++i) {
      if (entries.size() == kMaxDynamic) return Damaged("dynamic section");
      entries.push_back(entry);
    }
    const auto value = [&](std::int64_t tag) -> std::uint64_t {
      const auto found = std::ranges::find(entries, tag, &GElf_Dyn::d_tag);
      return found == entries.end() ? 0 : found->d_un.d_val;
    };
    const auto strings = PlaceOf(value(DT_STRTAB));
    if (!strings) return entries.empty() ? Result<void>() : Damaged("string table");
    strings_ = Chunk(strings->offset, std::min(strings->size, value(DT_STRSZ)), ELF_T_BYTE);
    if (!strings_) return Damaged("string table");
    for (const auto& one : entries) TakeEntry(one);
    ReadNeededVersions(value(DT_VERNEED));
    ReadDefinedVersions(value(DT_VERDEF));
    return {};
  }

  void TakeEntry(const GElf_Dyn& entry) {
    const auto at = entry.d_un.d_val;
    if (entry.d_tag == DT_NEEDED) file_.needed.push_back(String(at));
    if (entry.d_tag == DT_SONAME) file_.soname = String(at);
    if (entry.d_tag == DT_RPATH) file_.rpath = Folders(String(at));
    if (entry.d_tag == DT_RUNPATH) file_.runpath = Folders(String(at));
  }

  std::string String(std::uint64_t at) const {
    if (at >= strings_->d_size) return "?";
    const auto* text = static_cast<const char*>(strings_->d_buf) + at;
    return std::string(text, strnlen(text, std::min(strings_->d_size - at, kMaxName)));
  }

  static std::vector<std::string> Folders(std::string_view text) {
    std::vector<std::string> folders;
    while (!text.empty()) {
      const auto end = std::min(text.find(':'), text.size());
      if (end > 0) folders.emplace_back(text.substr(0, end));
      text.remove_prefix(std::min(end + 1, text.size()));
    }
    return folders;
  }

  void ReadNeededVersions(std::uint64_t address) {
    const auto place = address ? PlaceOf(address) : std::nullopt;
    auto* data = place ? Chunk(place->offset, place->size, ELF_T_BYTE) : nullptr;
    if (!data) return;
    data->d_type = ELF_T_VNEED;  // of this machine's byte order: nothing to translate
    GElf_Verneed need;
    GElf_Vernaux aux;
    for (std::size_t at = 0, seen = 0; gelf_getverneed(data, static_cast<int>(at), &need);) {
      std::size_t aux_at = at + need.vn_aux;
      for (int i = 0; i < need.vn_cnt && ++seen < kMaxVersions; ++i) {
        if (!gelf_getvernaux(data, static_cast<int>(aux_at), &aux)) return;
        if ((aux.vna_flags & VER_FLG_WEAK) == 0) {
          file_.needs_versions.push_back({String(need.vn_file), String(aux.vna_name)});
        }
        if (aux.vna_next == 0) break;
        aux_at += aux.vna_next;
      }
      if (need.vn_next == 0 || ++seen >= kMaxVersions) return;
      at += need.vn_next;
    }
  }

  void ReadDefinedVersions(std::uint64_t address) {
    const auto place = address ? PlaceOf(address) : std::nullopt;
    auto* data = place ? Chunk(place->offset, place->size, ELF_T_BYTE) : nullptr;
    if (!data) return;
    data->d_type = ELF_T_VDEF;
    GElf_Verdef define;
    GElf_Verdaux aux;
    std::size_t seen = 0;
    for (std::size_t at = 0; gelf_getverdef(data, static_cast<int>(at), &define);) {
      if (!gelf_getverdaux(data, static_cast<int>(at + define.vd_aux), &aux)) return;
      file_.versions.insert(String(aux.vda_name));
      if (define.vd_next == 0 || ++seen >= kMaxVersions) return;
      at += define.vd_next;
    }
  }

  Elf* elf_;
  ElfFile& file_;
  std::vector<GElf_Phdr> loads_;
  GElf_Phdr dynamic_{};
  Elf_Data* strings_ = nullptr;
};

struct Opened {
  Fd fd;
  ElfPtr elf;
};
std::optional<Opened> Open(const std::string& path) {
  elf_version(EV_CURRENT);
  Fd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd) return std::nullopt;
  ElfPtr elf(elf_begin(fd.Get(), ELF_C_READ_MMAP, nullptr));
  if (!elf || elf_kind(elf.get()) != ELF_K_ELF) return std::nullopt;
  return Opened{std::move(fd), std::move(elf)};
}

}  // namespace

Result<std::optional<ElfFile>> ReadElf(const std::string& path) {
  const auto opened = Open(path);
  if (!opened) return std::nullopt;
  ElfFile file;
  GElf_Ehdr header;
  if (!gelf_getehdr(opened->elf.get(), &header)) {
    return Fail(Code::kInvalid, "it is a damaged ELF file (header)");
  }
  file.machine = MachineName(header.e_machine);
  file.native = header.e_machine == kHostMachine && header.e_ident[EI_CLASS] == ELFCLASS64 &&
                header.e_ident[EI_DATA] == ELFDATA2LSB;
  file.program = header.e_type == ET_EXEC;
  if (file.native) TRY(Reader(opened->elf.get(), file).Run());
  return file;
}

bool DefinesSymbol(const std::string& path, std::string_view name) {
  const auto opened = Open(path);
  if (!opened) return false;
  Elf* elf = opened->elf.get();
  for (Elf_Scn* section = nullptr; (section = elf_nextscn(elf, section)) != nullptr;) {
    GElf_Shdr header;
    if (!gelf_getshdr(section, &header) || header.sh_type != SHT_DYNSYM) continue;
    Elf_Data* data = elf_getdata(section, nullptr);
    if (!data || header.sh_entsize == 0) continue;
    const auto count = std::min<std::size_t>(header.sh_size / header.sh_entsize, kMaxSymbols);
    GElf_Sym symbol;
    for (std::size_t i = 0; i < count && gelf_getsym(data, static_cast<int>(i), &symbol); ++i) {
      if (symbol.st_shndx == SHN_UNDEF) continue;
      const char* text = elf_strptr(elf, header.sh_link, symbol.st_name);
      if (text && name == text) return true;
    }
  }
  return false;
}

std::string_view HostMachine() {
  static const std::string kName = MachineName(kHostMachine);
  return kName;
}

std::uint32_t HostIsa() {
#if defined(__x86_64__)
  __builtin_cpu_init();
  std::uint32_t levels = 1;
  if (__builtin_cpu_supports("x86-64-v2")) levels |= 2;
  if (__builtin_cpu_supports("x86-64-v3")) levels |= 4;
  if (__builtin_cpu_supports("x86-64-v4")) levels |= 8;
  return levels;
#else
  return ~0u;
#endif
}

}  // namespace samovar
