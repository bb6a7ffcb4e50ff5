#pragma once
// The price file as it was when the program was built (CMakeLists.txt makes price_data.cc from it).

namespace samovar {

extern const char* const kPriceData;

}  // namespace samovar
