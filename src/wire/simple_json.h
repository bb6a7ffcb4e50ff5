#pragma once
// IsSimpleJson: whether a text is JSON that a short scan can tell for sure.
//
// Why      Every event is looked at before it goes to a function, and events of models are long
//          lists of numbers. A parser that makes values of them takes three times as long.
// How      Takes ASCII text without \u escapes, at most 64 levels deep, with nothing behind it, and
//          exponents of at most two digits. True: it is JSON (RFC 8259). False: ask a parser.
// Threads  A plain function.

#include <string_view>

namespace samovar {

bool IsSimpleJson(std::string_view text);

}  // namespace samovar
