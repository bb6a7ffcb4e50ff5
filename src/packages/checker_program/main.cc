// samovar-check: checks the package that its sandbox holds and prints the report as one line of
// JSON.
//
//   samovar-check RUNTIME HANDLER INTERPRETER LIBRARY_PATH
//
// Everything is a function's word, so this runs where a function would: without privilege or
// network, with its root, its mounts and its limits.

#include <boost/json/serialize.hpp>
#include <cstdio>
#include <string_view>

#include "packages/package_check.h"

namespace {

std::vector<std::string> Folders(std::string_view text) {
  std::vector<std::string> folders;
  while (!text.empty()) {
    const auto end = std::min(text.find(':'), text.size());
    if (end > 0) folders.emplace_back(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return folders;
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 5) {
    std::fputs("usage: samovar-check RUNTIME HANDLER INTERPRETER LIBRARY_PATH\n", stderr);
    return 2;
  }
  samovar::PackageCheck check;
  check.runtime = argv[1];
  check.handler = argv[2];
  check.interpreter = argv[3];
  check.library_path = Folders(argv[4]);
  const auto report = samovar::CheckPackage(check);
  std::puts(boost::json::serialize(samovar::CheckReportJson(report)).c_str());
  return 0;
}
