#pragma once
// CheckModelFile: looks through a model file before ONNX Runtime sees it.
//
// Why      The file comes from anywhere. What is cut off, lies about its sizes or points outside
//          its package is told apart here, by name, in one pass that loads nothing.
// How      Walks the protocol buffer of the mapped file: every length must end inside its parent,
//          nesting has a bound, a tensor's elements must be there, and files that it names must lie
//          in the package. Functions of the model must not call each other in a circle.
// Errors   kInvalid "Model.LoadFailed"; kTooLarge "Model.TooLarge" past `limits`.
// Source   onnx.proto of ONNX 1.19; the wire format of protocol buffers.

#include <set>
#include <string>

#include "base/bytes.h"
#include "base/error.h"

namespace samovar {

struct ModelLimits {
  Bytes file = Bytes::GiB(2);  // the format's own bound
  int nesting = 32;            // of graphs in graphs
};

// Answers an operator of the model's that draws random numbers, "" where it has none.
Result<std::string> CheckModelFile(const std::string& path, const std::string& package,
                                   const ModelLimits& limits = {});
// The data files that a model names (external data), after the same checks: paths relative to its
// folder.
Result<std::set<std::string>> ModelDataFiles(const std::string& path, const std::string& package,
                                             const ModelLimits& limits = {});

}  // namespace samovar
