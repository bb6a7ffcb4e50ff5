#pragma once
// Rows of random values to try a model with, and whether two answers are the same.
// Threads  Plain functions.

#include <random>
#include <vector>

#include "models/model_call.h"
#include "models/signature.h"

namespace samovar {

// A call of one row: numbers around 0, whole numbers and strings of two kinds.
ModelCall RandomRow(const ModelSignature& signature, std::mt19937& random);

// To the last bit.
bool SameAnswers(const std::vector<Value>& a, const std::vector<Value>& b);

}  // namespace samovar
