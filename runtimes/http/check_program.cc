#include "check_program.h"

#include <elf.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>
#include <cerrno>
#include <cstring>
#include <sstream>
#include <vector>

#include "os/fd.h"

namespace samovar {
namespace {

namespace json = boost::json;

constexpr const char* kRemedy =
    "give ImageConfig.EntryPoint and Command, or mend the image's ENTRYPOINT";

// "" where it can be executed as far as its inode tells.
std::string WhyNotExecutable(const std::string& path) {
  struct stat about{};
  if (::stat(path.c_str(), &about) != 0) {
    return errno == ENOENT ? "the image has no such file" : std::strerror(errno);
  }
  if (!S_ISREG(about.st_mode)) return "it is no file";
  return ::access(path.c_str(), X_OK) == 0 ? "" : "it has no permission to be executed (chmod +x)";
}

std::vector<std::string> Candidates(const std::string& program, const std::string& search) {
  if (program.find('/') != std::string::npos) return {program};
  std::vector<std::string> found;
  std::istringstream folders(search);
  for (std::string folder; std::getline(folders, folder, ':');) {
    if (!folder.empty()) found.push_back(folder + "/" + program);
  }
  return found;
}

std::string LookAtElf(int file, const Elf64_Ehdr& head) {
  if (head.e_ident[EI_CLASS] != ELFCLASS64 || head.e_machine != EM_X86_64) {
    const bool arm = head.e_machine == EM_AARCH64;
    return std::string("it is for another processor") + (arm ? " (aarch64)" : "") +
           "; this host runs linux/amd64";
  }
  for (int i = 0; i < head.e_phnum && i < 256; ++i) {
    Elf64_Phdr part;
    const auto at = static_cast<off_t>(head.e_phoff + static_cast<std::uint64_t>(i) * sizeof part);
    if (::pread(file, &part, sizeof part, at) != sizeof part) break;
    if (part.p_type != PT_INTERP || part.p_filesz < 2 || part.p_filesz > 4096) continue;
    std::string loader(part.p_filesz, '\0');
    if (::pread(file, loader.data(), loader.size(), static_cast<off_t>(part.p_offset)) < 1) break;
    loader = loader.c_str();
    if (const auto why = WhyNotExecutable(loader); !why.empty()) {
      return "its loader " + loader + " cannot be used: " + why;
    }
  }
  return "";
}

// The words after "#!".
std::string LookAtScript(std::string_view text) {
  const auto line = text.substr(2, text.find('\n') - 2);
  std::istringstream words{std::string(line)};
  std::string interpreter;
  words >> interpreter;
  if (line.ends_with('\r')) return "it has Windows line ends, so its interpreter is not found";
  const auto why = WhyNotExecutable(interpreter);
  return why.empty() ? "" : "its interpreter " + interpreter + " cannot be used: " + why;
}

std::string LookInside(const std::string& path) {
  const Fd file(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file) return "";
  char head[512] = {};
  const auto got = ::pread(file.Get(), head, sizeof head, 0);
  if (got >= static_cast<ssize_t>(sizeof(Elf64_Ehdr)) && std::memcmp(head, ELFMAG, SELFMAG) == 0) {
    Elf64_Ehdr elf;
    std::memcpy(&elf, head, sizeof elf);
    return LookAtElf(file.Get(), elf);
  }
  if (got > 2 && head[0] == '#' && head[1] == '!') {
    return LookAtScript({head, static_cast<std::size_t>(got)});
  }
  return "";
}

json::object Finding(bool hopeless, const std::string& file, const std::string& problem,
                     const char* remedy) {
  return {{"hopeless", hopeless}, {"file", file}, {"problem", problem}, {"remedy", remedy}};
}

}  // namespace

std::string CheckProgram(const std::string& program, const std::string& search,
                         const std::string& working_folder) {
  json::array findings;
  if (::chdir(working_folder.c_str()) != 0) {
    findings.push_back(Finding(false, working_folder, "the image has no such working folder",
                               "give ImageConfig.WorkingDirectory"));
  }
  std::string found, last;
  for (const auto& path : Candidates(program, search)) {
    const auto why = WhyNotExecutable(path);
    if (why.empty()) {
      found = path;
      break;
    }
    if (last.empty() || why.find("no such file") == why.npos) last = why;
  }
  if (found.empty()) {
    const bool named = program.find('/') != program.npos;
    findings.push_back(Finding(
        true, program,
        (last.empty() ? "the image has no such file" : last) + (named ? "" : " on PATH " + search),
        kRemedy));
  } else if (const auto why = LookInside(found); !why.empty()) {
    findings.push_back(Finding(true, found, why, kRemedy));
  }
  return json::serialize(json::object{{"findings", std::move(findings)}});
}

}  // namespace samovar
