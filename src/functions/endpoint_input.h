#pragma once
// What SageMaker's operations read of their inputs alike.

#include <boost/json/object.hpp>
#include <string>

#include "base/error.h"
#include "functions/endpoint_records.h"

namespace samovar {

std::unexpected<Error> SageMakerInvalid(std::string message);  // ValidationException

// The member Tags, as a map. A key that comes twice is invalid.
Result<Tags> SageMakerTags(const boost::json::object& input);

}  // namespace samovar
