#include "models/ort_reason.h"

#include <algorithm>
#include <cctype>

namespace samovar {
namespace {

constexpr std::string_view kSources = "/onnxruntime_src/";
constexpr auto kNone = std::string_view::npos;

// Behind the bracket that closes the one at `open`, or kNone.
std::size_t Closed(std::string_view text, std::size_t open) {
  std::string due;
  for (std::size_t at = open; at < text.size(); ++at) {
    const char c = text[at];
    if (c == '(') due += ')';
    if (c == '[') due += ']';
    if (c == '{') due += '}';
    if (c == '<') due += '>';
    if (due.empty() || c != due.back()) continue;
    due.pop_back();
    if (due.empty()) return at + 1;
  }
  return kNone;
}

// Behind a function as the compiler writes it, which begins `text`: behind its parameters and what
// belongs to them; 0 where none is found.
std::size_t FunctionSize(std::string_view text) {
  std::size_t at = 0;
  bool parameters = false;
  while (at < text.size()) {
    const auto rest = text.substr(at);
    if (parameters && rest.starts_with(" const")) {
      at += 6;
    } else if (parameters && rest.starts_with(" [with ")) {
      at = Closed(text, at + 1);
      return at == kNone ? 0 : at;
    } else if (parameters && !rest.starts_with("::") && rest.front() != '(' &&
               rest.front() != '<') {
      return at;  // a blank, as a rule
    } else if (rest.front() == '(' || rest.front() == '<') {
      parameters = parameters || rest.front() == '(' || rest.starts_with("<lambda");
      at = Closed(text, at);
      if (at == kNone) return 0;
    } else {
      if (rest.starts_with("::")) parameters = false;
      ++at;
    }
  }
  return parameters ? at : 0;
}

}  // namespace

std::string OrtReason(std::string_view message) {
  std::string out;
  for (;;) {
    const auto begin = message.find(kSources);
    if (begin == kNone) break;
    out += message.substr(0, begin);
    if (!out.empty() && out.back() == ':') out += ' ';
    message.remove_prefix(begin);
    message.remove_prefix(std::min(message.find_first_of(" \n"), message.size()));
    if (message.starts_with(' ')) message.remove_prefix(1);
    message.remove_prefix(FunctionSize(message.substr(0, message.find('\n'))));
    while (!message.empty() && std::isspace(static_cast<unsigned char>(message.front()))) {
      message.remove_prefix(1);
    }
  }
  return out += message;
}

}  // namespace samovar
