#pragma once
// ModelSettings: what samovar.yaml in a model's package says.
// Errors   kInvalid "Model.InvalidSettings", naming the key.
// Source   docs/models.md.

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "base/error.h"

namespace samovar {

struct ModelSettings {
  enum class Batching : std::uint8_t { kOff, kAuto, kOn };

  int threads = 1;
  std::vector<std::string> providers;
  Batching batching = Batching::kAuto;
  std::size_t max_batch = 32;
  std::chrono::microseconds max_delay{0};
  bool forests = true;                          // walk trees by Forest, where it answers the same
  int outstanding = 64;                         // requests that the worker takes at a time
  std::map<std::string, std::string> defaults;  // input -> its value as JSON
  std::vector<std::string> warm_up;             // events as JSON
};

// `text`: of samovar.yaml; empty: the defaults.
Result<ModelSettings> ReadModelSettings(const std::string& text);

}  // namespace samovar
