#pragma once
// Fields: header fields as (name, value) pairs in order of arrival, as net/http.h keeps them too.
// Names compare without case, as HTTP has it.

#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace samovar {

using Field = std::pair<std::string, std::string>;
using Fields = std::vector<Field>;
using FieldsView = std::span<const Field>;

bool SameFieldName(std::string_view a, std::string_view b);
// The first value of that name; nullptr where there is none.
const std::string* FindField(FieldsView fields, std::string_view name);
// The same, "" where there is none.
std::string_view FieldOr(FieldsView fields, std::string_view name);

// The parameters of a query string in order, decoded ('+' is a space). A part that cannot be
// decoded stays as it is.
Fields ParseQuery(std::string_view raw_query);

}  // namespace samovar
