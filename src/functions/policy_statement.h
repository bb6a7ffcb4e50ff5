#pragma once
// Statements of a resource policy, as AddPermission writes them and as IAM reads them.
// Errors   InvalidParameterValueException for a principal of no known form.
// Source   Recorded answers of AWS; IAM's policy grammar.

#include <boost/json/array.hpp>
#include <boost/json/object.hpp>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

// `input`: StatementId, Action, Principal and the conditions of AddPermission.
Result<boost::json::object> MakeStatement(const boost::json::object& input,
                                          std::string_view resource);

// A whole policy document as JSON text.
std::string PolicyDocument(const boost::json::array& statements);

// Where the statement with this Sid stands, or the array's size.
std::size_t FindStatement(const boost::json::array& statements, std::string_view sid);

// Whether anyone, unsigned, may do `action` through a function URL of AuthType NONE.
bool AllowsEveryone(const boost::json::array& statements, std::string_view action);

Error DuplicateStatement(std::string_view sid);

}  // namespace samovar
