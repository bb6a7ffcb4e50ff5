// What differs between a wanted and a present configuration (declared in deploy.h).
#include <boost/json/array.hpp>
#include <boost/json/value.hpp>

#include "main/deploy.h"

namespace samovar {

namespace {

boost::json::value Default(std::string_view member) {
  if (member == "MemorySize") return 128;
  if (member == "Timeout") return 3;
  if (member == "Description") return boost::json::string();
  if (member == "Layers") return boost::json::array();
  if (member == "Environment") return boost::json::object{{"Variables", boost::json::object()}};
  if (member == "EphemeralStorage") return boost::json::object{{"Size", 512}};
  if (member == "TracingConfig") return boost::json::object{{"Mode", "PassThrough"}};
  if (member == "SnapStart") return boost::json::object{{"ApplyOn", "None"}};
  if (member == "DeadLetterConfig") return boost::json::object{{"TargetArn", ""}};
  if (member == "ImageConfig") return boost::json::object();
  return nullptr;
}

boost::json::value OneMember(const boost::json::value& object, std::string_view name,
                             const boost::json::value& fallback) {
  const boost::json::object* fields = object.if_object();
  const boost::json::value* found = fields == nullptr ? nullptr : fields->if_contains(name);
  return boost::json::object{{name, found == nullptr ? fallback.at(name) : *found}};
}

// The present value in the form in which UpdateFunctionConfiguration takes it.
boost::json::value Present(std::string_view member, const boost::json::value& current) {
  if (member == "ImageConfig") {
    const auto& config = JsonMember(JsonMember(current, "ImageConfigResponse"), "ImageConfig");
    return config.is_object() ? config : Default(member);
  }
  const boost::json::object* fields = current.if_object();
  const boost::json::value* found = fields == nullptr ? nullptr : fields->if_contains(member);
  if (found == nullptr || found->is_null()) return Default(member);
  if (member == "Layers" && found->is_array()) {
    boost::json::array arns;
    for (const auto& layer : found->as_array()) arns.emplace_back(JsonText(layer, "Arn"));
    return arns;
  }
  if (member == "Environment") return OneMember(*found, "Variables", Default(member));
  if (member == "SnapStart") return OneMember(*found, "ApplyOn", Default(member));
  if (member == "DeadLetterConfig") return OneMember(*found, "TargetArn", Default(member));
  return *found;
}

bool Same(std::string_view member, const boost::json::value& wanted,
          const boost::json::value& present) {
  if (member != "LoggingConfig") return wanted == present;
  // The server fills in what was left out; only what is wanted counts.
  if (!wanted.is_object()) return false;
  for (const auto& field : wanted.as_object()) {
    if (JsonMember(present, field.key()) != field.value()) return false;
  }
  return true;
}

}  // namespace

boost::json::object ConfigurationChanges(const boost::json::object& wanted,
                                         const boost::json::value& current, bool partial) {
  boost::json::object all = wanted;
  for (const char* member :
       {"MemorySize", "Timeout", "Description", "Layers", "Environment", "EphemeralStorage",
        "TracingConfig", "SnapStart", "DeadLetterConfig", "ImageConfig"}) {
    if (!partial && !all.contains(member)) all[member] = Default(member);
  }
  boost::json::object changes;
  for (const auto& field : all) {
    // A role grants nothing here; architectures belong to the code.
    if (field.key() == "Role" || field.key() == "Architectures") continue;
    if (!Same(field.key(), field.value(), Present(field.key(), current))) {
      changes[field.key()] = field.value();
    }
  }
  return changes;
}

boost::json::object ConfigurationAsItIs(const boost::json::object& changes,
                                        const boost::json::value& current) {
  boost::json::object out;
  for (const auto& field : changes) out[field.key()] = Present(field.key(), current);
  return out;
}

}  // namespace samovar
