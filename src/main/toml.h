#pragma once
// ParseToml: a TOML document as the same nodes that a YAML one becomes, so that configuration is
// read by one code.
// Errors   kInvalid "NAME:LINE: what".
// Threads  A pure function.

#include <string>

#include "main/yaml.h"

namespace samovar {

// `name` is for messages only.
Result<YamlNode> ParseToml(const std::string& text, const std::string& name);

}  // namespace samovar
