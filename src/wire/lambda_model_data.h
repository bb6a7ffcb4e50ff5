#pragma once
// The text of Lambda's service model as tools/gen_lambda_model.py writes it (its form is explained
// there), in pieces to be read one after the other.

#include <string_view>
#include <vector>

namespace samovar {

const std::vector<std::string_view>& LambdaModelJson();

}  // namespace samovar
