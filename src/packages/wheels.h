#pragma once
// Wheel: a Python distribution that was installed into a package, as its .dist-info tells it.
//
// How      Reads NAME-VERSION.dist-info/WHEEL (the tags it was built for) and RECORD (the files it
//          brought). What a distribution says is taken as said; files are checked all the same.
// Errors   None: a .dist-info without the two is a distribution without tags and files.
// Threads  Values.
// Source   PyPA specifications: "Recording installed projects", "Platform compatibility tags".

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace samovar {

struct Wheel {
  std::string name, version;       // "numpy", "1.26.4"
  std::string site;                // the folder that holds it, inside: "/var/task"
  std::vector<std::string> tags;   // "cp311-cp311-manylinux_2_17_x86_64", one each
  std::vector<std::string> files;  // paths inside
  std::string Title() const { return name + " " + version; }
};

// `outside` is the .dist-info folder, `inside` its path as the function sees it.
Wheel ReadWheel(const std::string& outside, const std::string& inside);

// For whom a wheel was built instead, where none of its tags fits: "aarch64", "musl (Alpine
// Linux)", "CPython 3.12". nullopt: one of them fits, or none is known. `minor`: 11 of Python 3.11.
std::optional<std::string> BuiltForOthers(const Wheel& wheel, int minor, std::string_view machine);

}  // namespace samovar
