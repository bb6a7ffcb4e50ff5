#pragma once
// The text of SageMaker's service model as tools/gen_sagemaker_model.py writes it (the form is
// explained in tools/gen_lambda_model.py), in pieces to be read one after the other.

#include <string_view>
#include <vector>

namespace samovar {

const std::vector<std::string_view>& SageMakerModelJson();

}  // namespace samovar
