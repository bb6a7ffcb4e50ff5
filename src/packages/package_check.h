#pragma once
// CheckPackage: whether a function's unpacked package can run, before anybody calls it.
//
// Why      Libraries for another processor, Python or C library are found out by the first caller
//          otherwise, with a loader's message. Here they are named, with what helps.
// How      Every native file is looked at as the loader would (libraries.h), every Python
//          distribution as its wheel tells (wheels.h), links and the handler by themselves. Nothing
//          of the package is run. What none of its modules can be loaded of is hopeless; where only
//          some cannot, or it depends on what the code does, it is a doubt.
// Errors   Findings, not errors: a package that cannot be read at all is a finding too.
// Threads  One. Bounded by `budget`: past it what is left is not looked at, and a doubt says so.

#include <boost/json/object.hpp>
#include <chrono>
#include <map>
#include <string>
#include <vector>

#include "packages/sandbox_view.h"

namespace samovar {

struct PackageCheck {
  std::string runtime;      // "python3.11", "nodejs20.x", "provided.al2023", "onnx"
  std::string handler;      // "app.handler"; "": not looked at
  std::string interpreter;  // path on the host, to parse a handler with; "": not parsed
  std::vector<std::string> library_path{"/var/task", "/var/task/lib", "/opt/lib"};
  SandboxView view;
  // Where the package and its layers lie, as SandboxView has them: their files are checked.
  std::vector<SandboxView::Place> roots{{"/var/task", "/var/task"}, {"/opt", "/opt"}};
  std::chrono::milliseconds budget{30'000};
};

struct Finding {
  bool hopeless = false;
  std::string file;          // relative to the package; "" where it is about the whole
  std::string problem;       // "it needs libgomp.so.1, which no sandbox of this host has"
  std::string remedy;        // may be ""
  std::string Text() const;  // one line: "FILE: PROBLEM; REMEDY"
};

struct CheckReport {
  std::vector<Finding> findings;  // hopeless ones first; at most kMaxFindings
  std::size_t left_out = 0;       // findings beyond that
  std::size_t files = 0, native_files = 0;
  bool Hopeless() const { return !findings.empty() && findings.front().hopeless; }
};
inline constexpr std::size_t kMaxFindings = 50;

CheckReport CheckPackage(const PackageCheck& check);

boost::json::object CheckReportJson(const CheckReport& report);
// What a checker in a sandbox printed, which may be anything. Findings without a problem are not
// taken.
CheckReport CheckReportOf(const boost::json::object& json);

}  // namespace samovar
