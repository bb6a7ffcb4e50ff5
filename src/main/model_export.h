#pragma once
// ModelExport: a scikit-learn model file to ONNX, compared with the original.
//
// Why      The converters are Python packages, and must fit the scikit-learn that the model was
//          saved with; nobody should have to put such an environment together by hand.
// How      python/export_model.py, which this program carries, says what the model needs; an
//          environment with that is made by pip and kept in the user's cache under a hash of it;
//          the script then converts and compares in it.
// Errors   kInvalid, with the tool's own words. Nothing is written where the two differ.
// Threads  One.

#include <optional>
#include <string>
#include <vector>

#include "base/clock.h"
#include "base/error.h"
#include "main/terminal.h"

namespace samovar {

struct ModelExport {
  std::string source;     // model.joblib
  std::string target;     // model.onnx
  int features = 0;       // numbers a row; 0: as the model says
  std::string rows = {};  // a file of rows to compare on, or ""
  double tolerance = 1e-4;
  int random_rows = 1000;
  std::vector<std::string> with = {};  // more packages for the environment
  std::string python = {};             // the interpreter to start from; "": python3.11, ... on PATH
  std::string cache = {};              // where environments are kept; "": ~/.cache/samovar/export
};

// Rows that both models answered.
struct ModelComparison {
  std::string rows;  // "random" or the file's name
  double count = 0;
  double largest_difference = 0;
  double relative_difference = 0;  // to the larger of 1 and the original's answer
  double beyond = 0;               // rows that differ by more than the tolerance
};

struct ModelExported {
  std::vector<ModelComparison> comparisons;
  double bytes = 0;
  std::vector<std::string> inputs, outputs;  // "X tensor(float) [None, 100]"
};

Result<ModelExported> ExportModel(const ModelExport& asked, const Terminal& terminal,
                                  const Clock& clock);

}  // namespace samovar
