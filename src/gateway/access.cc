#include "gateway/access.h"

#include <openssl/crypto.h>

#include <algorithm>
#include <boost/asio/ip/address.hpp>

#include "base/encoding.h"
#include "base/log.h"

namespace samovar {
namespace {

constexpr std::string_view kBasic = "Basic ";

// A request that a web page of another origin caused. A page of ours has our own origin.
bool FromAnotherSite(const HttpRequest& request) {
  auto site = request.headers.Get("Sec-Fetch-Site");
  if (site == "cross-site" || site == "same-site") return true;
  auto origin = request.headers.Get("Origin");
  if (origin.empty()) return false;
  auto host = request.headers.Get("Host");
  auto scheme = origin.find("://");
  return scheme == origin.npos || origin.substr(scheme + 3) != host;
}

}  // namespace

RequestHead HeadOf(const HttpRequest& request) {
  return {request.method, request.Path(), request.RawQuery(), request.headers.All()};
}

std::string HostName(std::string_view host_field) {
  std::string name;
  if (host_field.starts_with('[')) {
    name = host_field.substr(1, host_field.find(']') - 1);
  } else {
    name = host_field.substr(0, host_field.find(':'));
  }
  std::ranges::transform(name, name.begin(), [](char c) {
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  });
  return name;
}

bool IsLocalHost(std::string_view host_field) {
  std::string name = HostName(host_field);
  if (name == "localhost" || name == "127.0.0.1" || name.ends_with(".localhost")) return true;
  boost::system::error_code error;
  auto address = asio::ip::make_address(name, error);
  return !error && address.is_loopback();
}

Result<std::optional<SigV4Verification>> Access::Verify(const HttpRequest& request) {
  auto secret = [this](std::string_view id) { return keys_.SecretOf(id); };
  TRY(auto pending,
      SigV4Verification::Begin(HeadOf(request), secret, signing_keys_, clock_.Wall()));
  return std::optional(std::move(pending));
}

Result<std::optional<SigV4Verification>> Access::Check(const HttpRequest& request) {
  if (!Open()) return Verify(request);
  if (FromAnotherSite(request)) {
    return Fail(Code::kDenied,
                "Requests of web pages from other sites are refused while no access key exists "
                "(create one with: samovar keys create)",
                "AccessDeniedException");
  }
  if (!IsLocalHost(request.headers.Get("Host"))) {
    return Fail(Code::kDenied,
                "The host name '" + std::string(request.headers.Get("Host")) +
                    "' is not this machine's own, and no access key exists to tell callers by "
                    "(use localhost, or create a key with: samovar keys create)",
                "AccessDeniedException");
  }
  if (!std::exchange(said_open_, true)) {
    LogInfo("no access key exists: every program of this machine may call, signed or not");
  }
  return std::optional<SigV4Verification>();
}

Result<std::optional<SigV4Verification>> Access::CheckSigned(const HttpRequest& request) {
  if (!Open()) return Verify(request);
  if (!ReadCredentialScope(request.headers.All(), request.RawQuery())) {
    return Fail(Code::kDenied, "Missing Authentication Token",
                "MissingAuthenticationTokenException");
  }
  return std::optional<SigV4Verification>();
}

Result<std::optional<SigV4Verification>> Access::CheckKeyed(const HttpRequest& request) {
  auto authorization = request.headers.Get("Authorization");
  if (Open() || !authorization.starts_with(kBasic)) return Check(request);
  TRY(CheckBasic(authorization));
  return std::optional<SigV4Verification>();
}

Result<void> Access::CheckBasic(std::string_view authorization) const {
  if (authorization.empty()) {
    return Fail(Code::kDenied,
                "Missing Authentication Token: sign with SigV4, or send an access key as HTTP "
                "Basic authorization",
                "MissingAuthenticationTokenException");
  }
  std::optional<std::string> pair;
  if (authorization.starts_with(kBasic)) pair = Base64Decode(authorization.substr(kBasic.size()));
  auto colon = pair ? pair->find(':') : std::string::npos;
  if (colon != std::string::npos) {
    auto secret = keys_.SecretOf(std::string_view(*pair).substr(0, colon));
    auto given = std::string_view(*pair).substr(colon + 1);
    // No earlier for a guess that is nearly right.
    if (secret && secret->size() == given.size() &&
        CRYPTO_memcmp(secret->data(), given.data(), given.size()) == 0) {
      return {};
    }
  }
  return Fail(Code::kDenied, "The access key in the Authorization field is not known here",
              "UnrecognizedClientException");
}

Result<void> FinishWithBody(const std::optional<SigV4Verification>& pending,
                            std::string_view body) {
  if (!pending) return {};
  if (!pending->NeedsBodyHash()) return pending->Finish("");
  return pending->Finish(Sha256Hex(body));
}

}  // namespace samovar
