#pragma once
// Inputs of Lambda's operations: JSON and text made into checked members. Private to
// lambda_model.cc.
//
// How      One walk over the value beside its shape: converts, drops the unknown, notes what breaks
//          a constraint. A value of the wrong type ends the walk.

#include <boost/json/value.hpp>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "wire/lambda_shapes.h"

namespace samovar {

class InputChecker {
 public:
  explicit InputChecker(const std::vector<Shape>& shapes) : shapes_(shapes) {}

  // The value as its shape has it. `path`: "routingConfig.additionalVersionWeights".
  Result<boost::json::value> FromJson(std::uint16_t shape, boost::json::value value,
                                      const std::string& path);
  // The same for text of a path, query or header.
  Result<boost::json::value> FromText(std::uint16_t shape, std::string_view text,
                                      const std::string& path);
  void CheckText(const Shape& shape, std::string_view text, const std::string& path);
  // Checks the size and members of a list that was put together from query parameters.
  void CheckList(const Shape& shape, const boost::json::array& list, const std::string& path);
  void Missing(const std::string& path);

  // The ValidationException of all that was noted, or nothing.
  Result<void> Verdict() const;

 private:
  Result<boost::json::value> Structure(const Shape& shape, boost::json::value value,
                                       const std::string& path);
  Result<boost::json::value> List(const Shape& shape, boost::json::value value,
                                  const std::string& path);
  Result<boost::json::value> Map(const Shape& shape, boost::json::value value,
                                 const std::string& path);
  Result<boost::json::value> Number(const Shape& shape, boost::json::value value,
                                    const std::string& path);
  void Note(const std::string& printed, const std::string& path,
            const std::vector<std::string>& broken);
  bool Breaks(const Shape& shape, const boost::json::value& value) const;

  const std::vector<Shape>& shapes_;
  std::vector<std::string> violations_;
};

}  // namespace samovar
