#include "net/http.h"

#include <algorithm>

#include "base/encoding.h"

namespace samovar {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c | 0x20) : c; }

bool SameName(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  for (std::size_t i = 0; i < a.size(); ++i) {
    if (a[i] != b[i] && Lower(a[i]) != Lower(b[i])) return false;
  }
  return true;
}

}  // namespace

void Headers::Set(std::string_view name, std::string_view value) {
  auto first = std::ranges::find_if(fields_, [&](auto& f) { return SameName(f.first, name); });
  if (first == fields_.end()) return Add(name, value);
  first->second = value;
  auto rest =
      std::remove_if(first + 1, fields_.end(), [&](auto& f) { return SameName(f.first, name); });
  fields_.erase(rest, fields_.end());
}

void Headers::Add(std::string_view name, std::string_view value) {
  if (fields_.empty()) fields_.reserve(12);
  fields_.emplace_back(name, value);
}

std::string_view Headers::Get(std::string_view name) const {
  for (auto& [key, value] : fields_) {
    if (SameName(key, name)) return value;
  }
  return {};
}

bool Headers::Has(std::string_view name) const {
  return std::ranges::any_of(fields_, [&](auto& f) { return SameName(f.first, name); });
}

std::string_view HttpRequest::Path() const {
  return std::string_view(target).substr(0, target.find('?'));
}

std::string_view HttpRequest::RawQuery() const {
  auto at = target.find('?');
  return at == target.npos ? std::string_view() : std::string_view(target).substr(at + 1);
}

std::optional<std::string> HttpRequest::Query(std::string_view name) const {
  std::string_view rest = RawQuery();
  while (!rest.empty()) {
    auto end = rest.find('&');
    auto pair = rest.substr(0, end);
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    auto equals = pair.find('=');
    auto key = PercentDecode(pair.substr(0, equals), true);
    if (!key || *key != name) continue;
    return PercentDecode(equals == pair.npos ? "" : pair.substr(equals + 1), true);
  }
  return std::nullopt;
}

}  // namespace samovar
