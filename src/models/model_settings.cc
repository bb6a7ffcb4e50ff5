#include "models/model_settings.h"

#include <fmt/format.h>
#include <yaml-cpp/yaml.h>

#include <charconv>
#include <set>

#include "models/json_text.h"

namespace samovar {
namespace {

constexpr int kMostThreads = 64;
constexpr int kMostOutstanding = 1024;
constexpr int kMostRows = 4096;
constexpr int kLongestDelay = 1'000'000;  // us

std::unexpected<Error> Wrong(std::string_view key, std::string_view what) {
  return Fail(Code::kInvalid, fmt::format("samovar.yaml: {} {}", key, what),
              "Model.InvalidSettings");
}

Result<void> CheckKeys(const YAML::Node& node, const std::string& where,
                       const std::set<std::string>& known) {
  if (!node.IsMap()) return Wrong(where.empty() ? "the document" : where, "must be a mapping");
  for (const auto& entry : node) {
    const auto key = entry.first.as<std::string>();
    if (!known.contains(key)) return Wrong(where.empty() ? key : where + "." + key, "is not known");
  }
  return {};
}

Result<int> Number(const YAML::Node& node, std::string_view key, int least, int most) {
  int value = 0;
  const bool number = node.IsScalar() && YAML::convert<int>::decode(node, value);
  if (!number || value < least || value > most) {
    return Wrong(key, fmt::format("must be a whole number from {} to {}", least, most));
  }
  return value;
}

bool LooksLikeNumber(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  const bool digit = text.find_first_of("0123456789") != std::string::npos;
  return digit && error == std::errc() && end == text.data() + text.size();
}

void AppendJson(const YAML::Node& node, std::string& out) {
  if (node.IsSequence()) {
    out += '[';
    for (std::size_t i = 0; i < node.size(); ++i) {
      if (i > 0) out += ',';
      AppendJson(node[i], out);
    }
    out += ']';
  } else if (node.IsMap()) {
    out += '{';
    bool first = true;
    for (const auto& entry : node) {
      if (!std::exchange(first, false)) out += ',';
      AppendJsonString(entry.first.as<std::string>(), out);
      out += ':';
      AppendJson(entry.second, out);
    }
    out += '}';
  } else if (node.IsScalar()) {
    const std::string& text = node.Scalar();
    const bool plain = node.Tag() != "!";  // "!" is a quoted scalar
    if (plain && (text == "true" || text == "false" || LooksLikeNumber(text))) {
      out += text;
    } else {
      AppendJsonString(text, out);
    }
  } else {
    out += "null";
  }
}

std::string JsonOf(const YAML::Node& node) {
  std::string out;
  AppendJson(node, out);
  return out;
}

Result<void> ReadBatching(const YAML::Node& node, ModelSettings& settings) {
  TRY(CheckKeys(node, "batching", {"mode", "max_size", "max_delay_us"}));
  if (const auto mode = node["mode"]) {
    const std::string text = mode.IsScalar() ? mode.Scalar() : "";
    if (text != "auto" && text != "on" && text != "off") {
      return Wrong("batching.mode", "must be auto, on or off");
    }
    settings.batching = text == "auto" ? ModelSettings::Batching::kAuto
                        : text == "on" ? ModelSettings::Batching::kOn
                                       : ModelSettings::Batching::kOff;
  }
  if (const auto size = node["max_size"]) {
    TRY(const int rows, Number(size, "batching.max_size", 1, kMostRows));
    settings.max_batch = static_cast<std::size_t>(rows);
  }
  if (const auto delay = node["max_delay_us"]) {
    TRY(const int us, Number(delay, "batching.max_delay_us", 0, kLongestDelay));
    settings.max_delay = std::chrono::microseconds(us);
  }
  return {};
}

Result<void> ReadAll(const YAML::Node& root, ModelSettings& settings) {
  TRY(CheckKeys(root, "",
                {"threads", "execution_providers", "batching", "trees", "max_outstanding", "inputs",
                 "warm_up"}));
  if (const auto threads = root["threads"]) {
    TRY(settings.threads, Number(threads, "threads", 1, kMostThreads));
  }
  if (const auto outstanding = root["max_outstanding"]) {
    TRY(settings.outstanding, Number(outstanding, "max_outstanding", 1, kMostOutstanding));
  }
  if (const auto providers = root["execution_providers"]) {
    if (!providers.IsSequence()) return Wrong("execution_providers", "must be a list of names");
    for (const auto& name : providers) settings.providers.push_back(name.as<std::string>());
  }
  if (const auto batching = root["batching"]) TRY(ReadBatching(batching, settings));
  if (const auto trees = root["trees"]) {
    const std::string text = trees.IsScalar() ? trees.Scalar() : "";
    if (text != "auto" && text != "onnxruntime")
      return Wrong("trees", "must be auto or onnxruntime");
    settings.forests = text == "auto";
  }
  if (const auto inputs = root["inputs"]) {
    if (!inputs.IsMap()) return Wrong("inputs", "must be a mapping of input names");
    for (const auto& entry : inputs) {
      const auto name = entry.first.as<std::string>();
      TRY(CheckKeys(entry.second, "inputs." + name, {"default"}));
      if (const auto value = entry.second["default"]) settings.defaults[name] = JsonOf(value);
    }
  }
  if (const auto warm_up = root["warm_up"]) {
    if (!warm_up.IsSequence()) return Wrong("warm_up", "must be a list of events");
    for (const auto& event : warm_up) settings.warm_up.push_back(JsonOf(event));
  }
  return {};
}

}  // namespace

Result<ModelSettings> ReadModelSettings(const std::string& text) {
  ModelSettings settings;
  try {
    const YAML::Node root = YAML::Load(text);
    if (root.IsNull()) return settings;
    TRY(ReadAll(root, settings));
  } catch (const YAML::Exception& error) {
    return Wrong("it", fmt::format("cannot be read: {}", error.what()));
  }
  return settings;
}

}  // namespace samovar
