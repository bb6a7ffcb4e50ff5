// SigV4 in headers and in the query, for a server that knows one key. Nothing that a fuzzer writes
// is ever taken, as it would have to forge an HMAC. Lines: METHOD, PATH, QUERY, "Name: value" ...

#include "input.h"
#include "wire/sigv4.h"

using namespace samovar;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  Input input(data, size);
  std::string_view method = input.Line();
  std::string_view path = input.Line();
  std::string_view query = input.Line();
  Fields headers;
  for (std::string_view line = input.Line(); !line.empty(); line = input.Line()) {
    std::size_t colon = line.find(": ");
    if (colon == std::string_view::npos) continue;
    headers.emplace_back(line.substr(0, colon), line.substr(colon + 2));
  }
  SigningKeyCache keys;
  RequestHead head{method, path, query, headers};
  ReadCredentialScope(headers, query);
  SecretLookup secrets = [](std::string_view) { return std::string("a secret of no seed"); };
  WallTime now{std::chrono::seconds(1795533676)};
  auto begun = SigV4Verification::Begin(head, secrets, keys, now);
  if (begun) CHECK(!begun->HeadProven() && !begun->Finish(Sha256Hex(input.Rest())));

  // What we sign ourselves holds, whatever the request.
  Fields signed_headers{{"Host", "localhost"}, {"X-Odd", std::string(input.Rest())}};
  RequestHead own{method, path, query, signed_headers};
  Fields added = SignRequest(own, Sha256Hex(""), {"AKID", "a secret of no seed", ""}, "us-east-1",
                             "lambda", now);
  signed_headers.insert(signed_headers.end(), added.begin(), added.end());
  own.headers = signed_headers;
  auto verified = SigV4Verification::Begin(own, secrets, keys, now);
  CHECK(verified && verified->Finish(Sha256Hex("")));
  return 0;
}
