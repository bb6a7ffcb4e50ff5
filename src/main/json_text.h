#pragma once
// JSON for people: two spaces a level, a field a line.

#include <boost/json/value.hpp>
#include <string>

namespace samovar {

std::string PrettyJson(const boost::json::value& value);

}  // namespace samovar
