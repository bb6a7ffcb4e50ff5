#pragma once
// The head that a function gives its HTTP answer: statusCode, headers, cookies. Shared by whole and
// streamed answers of function URLs.

#include <boost/json/fwd.hpp>
#include <string_view>

#include "wire/function_url.h"

namespace samovar {

// Fills status and headers; false where the object is no such head. Fields that belong to the
// connection, or that no HTTP message may carry, are left out.
bool ReadUrlHead(const boost::json::object& from, std::string_view default_content_type,
                 UrlAnswer& answer);

}  // namespace samovar
