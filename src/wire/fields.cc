#include "wire/fields.h"

#include <algorithm>

#include "base/encoding.h"

namespace samovar {
namespace {

char Lower(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; }

std::string DecodeOr(std::string_view text) {
  return PercentDecode(text, true).value_or(std::string(text));
}

}  // namespace

bool SameFieldName(std::string_view a, std::string_view b) {
  return a.size() == b.size() &&
         std::ranges::equal(a, b, [](char x, char y) { return Lower(x) == Lower(y); });
}

const std::string* FindField(FieldsView fields, std::string_view name) {
  for (const Field& field : fields) {
    if (SameFieldName(field.first, name)) return &field.second;
  }
  return nullptr;
}

std::string_view FieldOr(FieldsView fields, std::string_view name) {
  const std::string* value = FindField(fields, name);
  return value ? std::string_view(*value) : std::string_view();
}

Fields ParseQuery(std::string_view raw_query) {
  Fields fields;
  while (!raw_query.empty()) {
    std::size_t end = std::min(raw_query.find('&'), raw_query.size());
    std::string_view part = raw_query.substr(0, end);
    raw_query.remove_prefix(std::min(end + 1, raw_query.size()));
    if (part.empty()) continue;
    std::size_t equals = std::min(part.find('='), part.size());
    std::string_view value = part.substr(std::min(equals + 1, part.size()));
    fields.emplace_back(DecodeOr(part.substr(0, equals)), DecodeOr(value));
  }
  return fields;
}

}  // namespace samovar
