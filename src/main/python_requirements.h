#pragma once
// What a Python project's own files say: which of them names its dependencies, and what stands
// there.
// Errors   None: what cannot be read is empty.
// Threads  Safe.

#include <filesystem>
#include <string>
#include <string_view>

namespace samovar {

// Which of a folder's files names its dependencies: requirements.txt, uv.lock, pylock.toml,
// poetry.lock, pyproject.toml, the first of them that is there. "" for none.
std::string PythonDependencyFile(const std::string& code_folder);

// requirements.txt and the files it includes ("-r", "-c") beside it.
std::string RequirementsText(const std::filesystem::path& file, int depth = 0);
// The same without its includes, which stand in it already.
std::string WithoutIncludes(const std::string& requirements);
// Whether requirements.txt is a lock itself: it names the only files that may be installed.
bool IsHashed(const std::string& requirements);
// Everything that decides what is installed, of the dependency file `file`.
std::string InputText(const std::filesystem::path& code, const std::string& file);

// Whether every package of a lock (requirements.txt or pylock.toml) names the files that may be
// installed by their hashes.
bool IsWholeLock(const std::string& lock);

// "name==version" of every package in a poetry.lock, a line each.
std::string PoetryConstraints(std::string_view lock);

}  // namespace samovar
