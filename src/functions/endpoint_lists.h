#pragma once
// Lists of SageMaker: filtered, sorted and cut into pages.
// How      A page's token names the last item by what it is sorted by, so that items that come and
//          go between pages neither repeat nor hide others.
// Errors   ValidationException for a token that is none of ours.

#include <boost/json/object.hpp>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "functions/endpoint_records.h"

namespace samovar {

struct ListItem {
  std::string name;
  WallTime created;
  WallTime modified;
  std::string status;           // "" where such things have none
  boost::json::object summary;  // as it stands in the answer
};

// {KEY: [summary...], "NextToken"}: what the input (SortBy, SortOrder, NameContains, MaxResults,
// NextToken, CreationTimeBefore and so on, StatusEquals) asks of `items`.
Result<boost::json::object> ListPage(std::vector<ListItem> items, const boost::json::object& input,
                                     std::string_view key);

}  // namespace samovar
