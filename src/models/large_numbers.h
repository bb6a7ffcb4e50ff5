#pragma once
// Whole numbers in JSON that no 64 bits hold.
//
// Why      simdjson refuses the whole text for one of them, and cannot say where it stands. As
//          fractions they are what JSON says they are: an input of floats takes them, one of whole
//          numbers refuses them by its name.
// Threads  A plain function.

#include <string>
#include <string_view>

namespace samovar {

// `json` with ".0" behind each whole number that fits neither 64 bits with a sign nor without.
std::string LargeNumbersAsFractions(std::string_view json);

}  // namespace samovar
