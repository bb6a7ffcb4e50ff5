#pragma once
// Access: whether a request may be answered at all.
//
// Why      Loopback without keys is open to every program of this machine, and a web page in its
//          browser is one of them: such a page must not reach the control API, neither by a
//          cross-site request nor by a name that it points at 127.0.0.1.
// How      Open (loopback, no key): any signature or none; but not from a browser on another site,
//          and only under a local host name. There a signature proves nothing, so it changes
//          nothing. Otherwise SigV4 is verified, in the head or presigned.
// Errors   kDenied, with AWS's name for it.
// Threads  The event loop only.

#include <optional>
#include <string>

#include "base/clock.h"
#include "gateway/key_store.h"
#include "net/http.h"
#include "wire/sigv4.h"

namespace samovar {

class Access {
 public:
  Access(const KeyStore& keys, const Clock& clock, bool loopback)
      : keys_(keys), clock_(clock), loopback_(loopback) {}

  bool Open() const { return loopback_ && keys_.Empty(); }
  bool Loopback() const { return loopback_; }

  // The first half, before the body: what is to be finished with the body's hash, or nullopt where
  // nothing is verified. Says once in the log that the port is open.
  Result<std::optional<SigV4Verification>> Check(const HttpRequest& request);
  // Verifies whatever the mode is, as function URLs of AuthType AWS_IAM want it; in open mode a
  // signature must be there, and any will do.
  Result<std::optional<SigV4Verification>> CheckSigned(const HttpRequest& request);
  // Check, and beside SigV4 an access key as HTTP Basic's user and password: clients of inference
  // protocols cannot sign.
  Result<std::optional<SigV4Verification>> CheckKeyed(const HttpRequest& request);
  // "Basic BASE64" of a known key, as a gRPC call carries it too.
  Result<void> CheckBasic(std::string_view authorization) const;

 private:
  Result<std::optional<SigV4Verification>> Verify(const HttpRequest& request);

  const KeyStore& keys_;
  const Clock& clock_;
  bool loopback_;
  bool said_open_ = false;
  SigningKeyCache signing_keys_;
};

// The second half. `body` is the whole body.
Result<void> FinishWithBody(const std::optional<SigV4Verification>& pending, std::string_view body);

RequestHead HeadOf(const HttpRequest& request);
// "example.com" of "Example.COM:8080", "::1" of "[::1]:8080".
std::string HostName(std::string_view host_field);
bool IsLocalHost(std::string_view host_field);  // localhost, *.localhost, 127.0.0.0/8, ::1

}  // namespace samovar
