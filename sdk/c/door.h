#pragma once
// WriteThroughDoor: a batch of changes, from inside a function, over the socket that its sandbox
// has for that (SAMOVAR_COLLECTIONS_DOOR), one HTTP exchange a connection.
//
// Why      No connection is kept: a template with one could not be cloned.
// Errors   kInvalid, naming the change. kNotFound. kPrecondition: the function may not write it.
//          kUnavailable: the server did not answer, or has too much to do.
// Threads  Any.

#include <string>
#include <string_view>

#include "base/error.h"
#include "samovar_collections.h"

namespace samovar {

// `changes`: a JSON array.
Result<samovar_ack> WriteThroughDoor(const std::string& collection, std::string_view changes);

}  // namespace samovar
