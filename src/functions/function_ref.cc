#include "functions/function_ref.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace samovar {
namespace {

bool IsWordChar(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_';
}

bool IsWord(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, IsWordChar);
}

bool IsDigits(std::string_view text) {
  return !text.empty() && std::ranges::all_of(text, [](char c) { return c >= '0' && c <= '9'; });
}

bool IsAccount(std::string_view text) { return text.size() == 12 && IsDigits(text); }

// "us-east-1", "us-gov-west-1": lower-case words, the last a digit.
bool IsRegion(std::string_view text) {
  if (text.size() < 6 || text[text.size() - 2] != '-' || !IsDigits(text.substr(text.size() - 1))) {
    return false;
  }
  return std::ranges::count(text, '-') >= 2 &&
         std::ranges::all_of(text.substr(0, text.size() - 2),
                             [](char c) { return (c >= 'a' && c <= 'z') || c == '-'; });
}

bool IsQualifier(std::string_view text) { return text == "$LATEST" || IsWord(text); }

// Splits at ':' into at most 8 parts; 0 parts for more.
struct Parts {
  std::array<std::string_view, 8> part;
  std::size_t count = 0;

  explicit Parts(std::string_view text) {
    for (;;) {
      if (count == part.size()) {
        count = 0;
        return;
      }
      const auto end = text.find(':');
      part[count++] = text.substr(0, end);
      if (end == std::string_view::npos) return;
      text.remove_prefix(end + 1);
    }
  }
};

bool IsLambdaArn(const Parts& parts) {
  return parts.count > 3 && parts.part[0] == "arn" && parts.part[1].starts_with("aws") &&
         parts.part[2] == "lambda";
}

}  // namespace

std::optional<FunctionRef> ParseFunctionRef(std::string_view text) {
  FunctionRef ref;
  if (text.find(':') == std::string_view::npos) {
    if (!IsWord(text)) return std::nullopt;
    ref.name = text;
    return ref;
  }
  const Parts parts(text);
  std::size_t at = 0;
  const auto more = [&] { return at + 1 < parts.count; };  // a part that is not the last
  if (IsLambdaArn(parts)) at = 3;
  if (more() && IsRegion(parts.part[at])) ref.region = parts.part[at++];
  if (more() && IsAccount(parts.part[at])) ref.account = parts.part[at++];
  if (more() && parts.part[at] == "function") ++at;
  if (at >= parts.count || !IsWord(parts.part[at])) return std::nullopt;
  ref.name = parts.part[at++];
  if (at < parts.count) {
    ref.qualifier = parts.part[at++];
    if (!IsQualifier(ref.qualifier)) return std::nullopt;
  }
  if (at != parts.count) return std::nullopt;
  return ref;
}

std::optional<LayerRef> ParseLayerArn(std::string_view text) {
  const Parts parts(text);
  if (!IsLambdaArn(parts) || parts.count < 7 || parts.part[5] != "layer") return std::nullopt;
  if (!IsRegion(parts.part[3]) || !IsAccount(parts.part[4]) || !IsWord(parts.part[6])) {
    return std::nullopt;
  }
  LayerRef ref{parts.part[6], std::nullopt, parts.part[3]};
  if (parts.count == 8) {
    std::uint64_t version = 0;
    const auto digits = parts.part[7];
    const auto [end, failed] =
        std::from_chars(digits.data(), digits.data() + digits.size(), version);
    if (failed != std::errc() || end != digits.data() + digits.size()) return std::nullopt;
    ref.version = version;
  }
  return ref;
}

bool IsVersionNumber(std::string_view qualifier) {
  return IsDigits(qualifier) && qualifier.front() != '0' && qualifier.size() < 19;
}

bool IsAliasName(std::string_view qualifier) { return IsWord(qualifier) && !IsDigits(qualifier); }

}  // namespace samovar
