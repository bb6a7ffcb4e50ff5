#include "sandbox/spawner_protocol.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json.hpp>

namespace samovar {
namespace {

namespace json = boost::json;

json::array Texts(const std::vector<std::string>& texts) {
  return json::array(texts.begin(), texts.end());
}

std::vector<std::string> Texts(const json::value& value) {
  return json::value_to<std::vector<std::string>>(value);
}

json::array MountsToJson(const std::vector<BindMount>& mounts) {
  json::array list;
  for (const auto& mount : mounts) {
    list.push_back({mount.source, mount.target, Texts(mount.overlays)});
  }
  return list;
}

std::vector<BindMount> MountsFromJson(const json::value& list) {
  std::vector<BindMount> mounts;
  for (const auto& mount : list.as_array()) {
    const auto& parts = mount.as_array();
    mounts.push_back({json::value_to<std::string>(parts.at(0)),
                      json::value_to<std::string>(parts.at(1)), Texts(parts.at(2))});
  }
  return mounts;
}

json::object SpecToJson(const SandboxSpec& spec) {
  json::object object{{"id", spec.id},
                      {"argv", Texts(spec.argv)},
                      {"env", Texts(spec.env)},
                      {"cwd", spec.cwd},
                      {"mounts", MountsToJson(spec.mounts)},
                      {"memory", spec.memory.count},
                      {"tmp", spec.tmp_size.count},
                      {"cpus", spec.cpus},
                      {"processes", spec.max_processes},
                      {"network", static_cast<int>(spec.network)},
                      {"channel", spec.channel},
                      {"runtime_api", spec.runtime_api},
                      {"clonable", spec.clonable}};
  if (!spec.image.empty()) object["image"] = Texts(spec.image);
  if (spec.boot) {
    object["boot"] =
        json::object{{"env", Texts(spec.boot->env)}, {"mounts", MountsToJson(spec.boot->mounts)}};
  }
  return object;
}

SandboxSpec SpecFromJson(const json::object& object) {
  SandboxSpec spec;
  spec.id = json::value_to<std::string>(object.at("id"));
  spec.argv = Texts(object.at("argv"));
  spec.env = Texts(object.at("env"));
  spec.cwd = json::value_to<std::string>(object.at("cwd"));
  spec.mounts = MountsFromJson(object.at("mounts"));
  spec.memory.count = object.at("memory").to_number<std::uint64_t>();
  spec.tmp_size.count = object.at("tmp").to_number<std::uint64_t>();
  spec.cpus = object.at("cpus").to_number<double>();
  spec.max_processes = object.at("processes").to_number<int>();
  spec.network = object.at("network").to_number<int>() == 0 ? Network::kLoopback : Network::kEgress;
  spec.channel = object.at("channel").as_bool();
  spec.runtime_api = object.at("runtime_api").as_bool();
  spec.clonable = object.at("clonable").as_bool();
  if (const auto* image = object.if_contains("image")) spec.image = Texts(*image);
  if (const auto* boot = object.if_contains("boot")) {
    const auto& parts = boot->as_object();
    spec.boot = {Texts(parts.at("env")), MountsFromJson(parts.at("mounts"))};
  }
  return spec;
}

// An enumerator from its number, checked against the last one.
template <class E>
E EnumFrom(const json::value& value, E last) {
  int number = value.to_number<int>();
  if (number < 0 || number > static_cast<int>(last)) throw std::out_of_range("enumerator");
  return static_cast<E>(number);
}

template <class F>
auto Decoded(std::string_view text, F decode) -> Result<decltype(decode(json::object()))> {
  try {
    json::parse_options options;
    options.allow_invalid_utf8 = true;  // an environment is bytes
    return decode(json::parse(text, {}, options).as_object());
  } catch (const std::exception& error) {
    return Fail(Code::kInvalid,
                fmt::format("a packet between server and spawner: {}", error.what()));
  }
}

bool Absolute(const std::string& path) {
  if (!path.starts_with('/') || path.find('\0') != std::string::npos) return false;
  return ("/" + path + "/").find("/../") == std::string::npos;
}

constexpr std::size_t kMostImageFolders = 160;  // as the kernel's page of options holds them

bool IdChar(char c) { return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-'; }

Result<void> Refuse(std::string_view field, std::string_view why) {
  return Fail(Code::kInvalid, fmt::format("sandbox {}: {}", field, why));
}

Result<void> CheckMount(const BindMount& mount) {
  if (!Absolute(mount.source)) return Refuse("mount source " + mount.source, "not absolute");
  if (!Absolute(mount.target)) return Refuse("mount target " + mount.target, "not absolute");
  for (std::string_view taken : {"/proc", "/dev", "/tmp", "/etc", "/sys"}) {
    std::string_view target = mount.target;
    if (target == taken || (target.starts_with(taken) && target[taken.size()] == '/')) {
      return Refuse("mount target " + mount.target, "belongs to the platform");
    }
  }
  if (mount.target.find_first_not_of('/') == std::string::npos) {
    return Refuse("mount target", "the root itself");
  }
  for (const auto& overlay : mount.overlays) {
    if (!Absolute(overlay)) return Refuse("mount overlay " + overlay, "not absolute");
  }
  return {};
}

Result<void> CheckImage(const SandboxSpec& spec) {
  if (spec.image.size() > kMostImageFolders) return Refuse("image", "has too many layers");
  if (spec.clonable || spec.boot) return Refuse("image", "is neither cloned nor started ahead");
  for (const auto& folder : spec.image) {
    if (!Absolute(folder)) return Refuse("image folder " + folder, "not absolute");
  }
  return {};
}

Result<void> CheckId(const std::string& id) {
  if (!id.empty() && id.size() <= 64 && std::all_of(id.begin(), id.end(), IdChar)) return {};
  return Refuse("id", "must match [a-z0-9-]{1,64}");
}

constexpr std::size_t kMostCloneEnv = 64 << 10;  // as it goes to the template in one message

}  // namespace

std::string EncodeOrder(const SpawnerOrder& order) {
  json::object object{{"kind", static_cast<int>(order.kind)}, {"number", order.number}};
  if (order.kind == SpawnerOrder::Kind::kCreate) object["spec"] = SpecToJson(order.spec);
  if (order.kind == SpawnerOrder::Kind::kClone) {
    object["original"] = order.original;
    object["id"] = order.clone.id;
    object["env"] = Texts(order.clone.env);
  }
  return json::serialize(object);
}

Result<SpawnerOrder> DecodeOrder(std::string_view text) {
  return Decoded(text, [](const json::object& object) {
    SpawnerOrder order;
    order.kind = EnumFrom(object.at("kind"), SpawnerOrder::Kind::kClone);
    order.number = object.at("number").to_number<std::uint64_t>();
    if (order.kind == SpawnerOrder::Kind::kCreate) {
      order.spec = SpecFromJson(object.at("spec").as_object());
    }
    if (order.kind == SpawnerOrder::Kind::kClone) {
      order.original = object.at("original").to_number<std::uint64_t>();
      order.clone.id = json::value_to<std::string>(object.at("id"));
      order.clone.env = Texts(object.at("env"));
    }
    return order;
  });
}

std::string EncodeReport(const SpawnerReport& report) {
  json::object object{{"kind", static_cast<int>(report.kind)}, {"number", report.number}};
  switch (report.kind) {
    case SpawnerReport::Kind::kCreated:
      object["channel"] = report.channel;
      object["runtime_api"] = report.runtime_api;
      object["memory"] = report.memory;
      object["tmp"] = report.tmp;
      object["booted"] = report.booted.count;
      break;
    case SpawnerReport::Kind::kFailed:
      object["code"] = static_cast<int>(report.error.code);
      object["message"] = report.error.message;
      break;
    case SpawnerReport::Kind::kExited:
      object["status"] = report.exit.code;
      object["signal"] = report.exit.signal;
      object["oom"] = report.exit.out_of_memory;
      object["peak"] = report.exit.max_memory.count;
      break;
  }
  return json::serialize(object);
}

Result<SpawnerReport> DecodeReport(std::string_view text) {
  return Decoded(text, [](const json::object& object) {
    SpawnerReport report;
    report.kind = EnumFrom(object.at("kind"), SpawnerReport::Kind::kExited);
    report.number = object.at("number").to_number<std::uint64_t>();
    switch (report.kind) {
      case SpawnerReport::Kind::kCreated:
        report.channel = object.at("channel").as_bool();
        report.runtime_api = object.at("runtime_api").as_bool();
        report.memory = object.at("memory").as_bool();
        report.tmp = object.at("tmp").as_bool();
        report.booted.count = object.at("booted").to_number<std::uint64_t>();
        break;
      case SpawnerReport::Kind::kFailed:
        report.error.code = EnumFrom(object.at("code"), Code::kInternal);
        report.error.message = json::value_to<std::string>(object.at("message"));
        break;
      case SpawnerReport::Kind::kExited:
        report.exit.code = object.at("status").to_number<int>();
        report.exit.signal = object.at("signal").to_number<int>();
        report.exit.out_of_memory = object.at("oom").as_bool();
        report.exit.max_memory.count = object.at("peak").to_number<std::uint64_t>();
        break;
    }
    return report;
  });
}

Result<void> CheckSpec(const SandboxSpec& spec) {
  TRY(CheckId(spec.id));
  const bool image = !spec.image.empty();
  if (spec.argv.empty() || spec.argv[0].empty() || (!image && !Absolute(spec.argv[0]))) {
    return Refuse("argv", "needs an absolute path");
  }
  if (image) TRY(CheckImage(spec));
  for (const auto* texts : {&spec.argv, &spec.env}) {
    for (const auto& text : *texts) {
      if (text.find('\0') != std::string::npos) return Refuse("argv or env", "holds a NUL byte");
    }
  }
  if (!Absolute(spec.cwd)) return Refuse("cwd " + spec.cwd, "not absolute");
  for (const auto& mount : spec.mounts) TRY(CheckMount(mount));
  if (spec.memory < Bytes::MiB(1) || spec.memory > Bytes::GiB(1024)) {
    return Refuse("memory", "must be from 1 MiB to 1 TiB");
  }
  if (spec.tmp_size < Bytes::KiB(64) || spec.tmp_size > Bytes::GiB(1024)) {
    return Refuse("tmp_size", "must be from 64 KiB to 1 TiB");
  }
  if (!(spec.cpus > 0 && spec.cpus <= 4096)) return Refuse("cpus", "must be in (0, 4096]");
  if (spec.max_processes < 1 || spec.max_processes > 1'000'000) {
    return Refuse("max_processes", "must be from 1 to 1000000");
  }
  if (spec.clonable && !spec.channel) return Refuse("clonable", "needs a channel");
  if (!spec.boot) return {};
  if (spec.clonable || spec.network != Network::kLoopback) {
    return Refuse("boot", "is for what is not clonable, and has loopback only");
  }
  for (const auto& text : spec.boot->env) {
    if (text.find('\0') != std::string::npos) return Refuse("boot", "holds a NUL byte");
  }
  for (const auto& mount : spec.boot->mounts) TRY(CheckMount(mount));
  return {};
}

Result<void> CheckSpec(const CloneSpec& spec) {
  TRY(CheckId(spec.id));
  std::size_t size = 0;
  for (const auto& text : spec.env) {
    size += text.size();
    if (text.find('\0') != std::string::npos || text.find('=') == std::string::npos ||
        text[0] == '=') {
      return Refuse("env", "must be NAME=value, without a NUL byte");
    }
  }
  if (size > kMostCloneEnv) return Refuse("env", "must be at most 64 KiB");
  return {};
}

}  // namespace samovar
