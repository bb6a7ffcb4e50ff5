#include "packages/package_check.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>

#include "packages/handler_check.h"
#include "packages/inventory.h"
#include "packages/native_groups.h"

namespace samovar {
namespace {

namespace json = boost::json;

// Each start of an instance may have to look through them.
constexpr std::size_t kManyFiles = 100'000;

std::string Relative(const std::string& inside) {
  return inside.starts_with("/var/task/") ? inside.substr(10) : inside;
}

void CheckLinks(const Inventory& inventory, std::vector<Finding>& findings) {
  for (const auto& link : inventory.bad_links) {
    if (link.escapes) {
      findings.push_back({.hopeless = true,
                          .file = Relative(link.inside),
                          .problem = "it is a link that leaves the package",
                          .remedy = "put the file itself there"});
    } else {
      findings.push_back({.file = Relative(link.inside),
                          .problem = "it is a link to a file that is not there",
                          .remedy = "put the file into the package, or take the link out"});
    }
  }
}

// Names and words of a package are its maker's: one line of printable text each.
std::string Plain(std::string_view text, std::size_t most) {
  std::string out;
  for (const char c : text.substr(0, most)) {
    out += static_cast<unsigned char>(c) < 0x20 || c == 0x7f ? '?' : c;
  }
  return out;
}

std::string TextOf(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_string() ? Plain(value->get_string(), 1024) : std::string();
}

std::size_t NumberOf(const json::object& object, std::string_view key) {
  const auto* value = object.if_contains(key);
  return value && value->is_int64() && value->get_int64() > 0
             ? static_cast<std::size_t>(value->get_int64())
             : 0;
}

void HopelessFirst(std::vector<Finding>& findings) {
  std::vector<Finding> sorted;
  for (const bool hopeless : {true, false}) {
    for (const auto& finding : findings) {
      if (finding.hopeless == hopeless) sorted.push_back(finding);
    }
  }
  findings = std::move(sorted);
}

}  // namespace

std::string Finding::Text() const {
  std::string text = file.empty() ? problem : fmt::format("{}: {}", file, problem);
  if (!remedy.empty()) text += "; " + remedy;
  return text;
}

CheckReport CheckPackage(const PackageCheck& check) {
  const auto end = std::chrono::steady_clock::now() + check.budget;
  const auto inventory = TakeInventory(check.roots, check.runtime, end);
  CheckReport report;
  report.files = inventory.files;
  report.native_files = inventory.natives.size();
  bool whole = inventory.whole;
  if (check.runtime != "onnx") {  // a model is data, and its server names what it lacks
    whole = CheckNatives(check, inventory, end, report.findings) && whole;
    if (check.runtime.starts_with("provided")) {
      if (auto finding = CheckBootstrap(check)) report.findings.push_back(*finding);
    }
    if (auto finding = CheckHandler(check)) report.findings.push_back(*finding);
  }
  CheckLinks(inventory, report.findings);
  if (inventory.files >= kManyFiles) {
    report.findings.push_back({.file = "",
                               .problem = fmt::format("the package has {} files", inventory.files),
                               .remedy = "leave out what the function does not need"});
  }
  if (!whole) {
    report.findings.push_back(
        {.file = "",
         .problem = fmt::format("only {} files were checked within {} s", inventory.files,
                                std::chrono::duration<double>(check.budget).count()),
         .remedy = ""});
  }
  HopelessFirst(report.findings);
  if (report.findings.size() > kMaxFindings) {
    report.left_out = report.findings.size() - kMaxFindings;
    report.findings.resize(kMaxFindings);
  }
  for (auto& finding : report.findings) {
    finding.file = Plain(finding.file, 1024);
    finding.problem = Plain(finding.problem, 1024);
  }
  return report;
}

json::object CheckReportJson(const CheckReport& report) {
  json::array findings;
  for (const auto& finding : report.findings) {
    findings.push_back(json::object{{"hopeless", finding.hopeless},
                                    {"file", finding.file},
                                    {"problem", finding.problem},
                                    {"remedy", finding.remedy}});
  }
  return {{"files", report.files},
          {"native_files", report.native_files},
          {"findings", std::move(findings)},
          {"left_out", report.left_out}};
}

CheckReport CheckReportOf(const json::object& object) {
  CheckReport report;
  report.files = NumberOf(object, "files");
  report.native_files = NumberOf(object, "native_files");
  report.left_out = NumberOf(object, "left_out");
  const auto* list = object.if_contains("findings");
  if (!list || !list->is_array()) return report;
  for (const auto& item : list->get_array()) {
    if (!item.is_object() || report.findings.size() == kMaxFindings) continue;
    const auto& one = item.get_object();
    const auto* hopeless = one.if_contains("hopeless");
    Finding finding{.hopeless = hopeless && hopeless->is_bool() && hopeless->get_bool(),
                    .file = TextOf(one, "file"),
                    .problem = TextOf(one, "problem"),
                    .remedy = TextOf(one, "remedy")};
    if (!finding.problem.empty()) report.findings.push_back(std::move(finding));
  }
  HopelessFirst(report.findings);
  return report;
}

}  // namespace samovar
