#pragma once
// CheckProgram: whether an image's program can be run, looked at from inside of the image's sandbox
// before anybody calls it. Nothing of the image is run.
// How      As execvp finds it; of an ELF file the processor and the loader, of a script the
//          interpreter.

#include <string>

namespace samovar {

// A report as samovar-check's: {"findings": [{"hopeless", "file", "problem", "remedy"}]}.
std::string CheckProgram(const std::string& program, const std::string& search,
                         const std::string& working_folder);

}  // namespace samovar
