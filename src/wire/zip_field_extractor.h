#pragma once
// ZipFieldExtractor: takes the package out of a JSON request while the request is still coming.
//
// Why      CreateFunction carries its zip as base64 inside JSON. A 10 GiB package must reach the
//          disk without ever being in memory.
// How      A SAX parse of the body, piece by piece. The member at `path` ("Code.ZipFile") is
//          decoded (strict base64) and handed to `sink`; all else becomes a JSON text with that
//          member left out, which DecodeInput then checks as usual.
// Errors   InvalidRequestContentException for malformed JSON or base64; kTooLarge for a rest beyond
//          `max_rest`; whatever the sink answers. After an error the extractor is done.
// Threads  One coroutine's value.

#include <boost/json/object.hpp>
#include <functional>
#include <memory>
#include <string>
#include <string_view>

#include "base/bytes.h"
#include "base/error.h"

namespace samovar {

class ZipFieldExtractor {
 public:
  // Decoded bytes, never empty. Called within Feed().
  using Sink = std::function<Result<void>(std::string_view bytes)>;

  ZipFieldExtractor(std::string_view path, Bytes max_rest, Sink sink);
  ~ZipFieldExtractor();

  Result<void> Feed(std::string_view piece);
  // The request without the package. REQUIRES: called once, after the last Feed().
  Result<std::string> Finish();
  bool FoundZip() const;  // the member was there (perhaps empty)

 private:
  struct State;
  std::unique_ptr<State> state_;
};

// Where an operation's package is: "Code.ZipFile" (CreateFunction), "ZipFile" (UpdateFunctionCode),
// "Content.ZipFile" (PublishLayerVersion), "" for all others.
std::string_view ZipPathOf(std::string_view operation);
// Puts `staged_path` where the package was: Code.StagedPath, StagedPath, Content.StagedPath.
void PutStagedPath(std::string_view operation, std::string staged_path, boost::json::object& input);

}  // namespace samovar
