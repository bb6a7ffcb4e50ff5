#pragma once
// SHA-256 and HMAC-SHA-256, over OpenSSL.
// Errors   None; OpenSSL failing at these is a bug (CHECK).

#include <array>
#include <memory>
#include <string>
#include <string_view>

namespace samovar {

using Digest = std::array<unsigned char, 32>;

// Of bytes that come in pieces.
class Sha256 {
 public:
  Sha256();
  ~Sha256();
  Sha256(Sha256&&) noexcept;
  Sha256& operator=(Sha256&&) noexcept;
  void Update(std::string_view bytes);
  std::string HexDigest();  // ends the hash

 private:
  struct Context;
  std::unique_ptr<Context> context_;
};

std::string Sha256Hex(std::string_view bytes);
Digest HmacSha256(std::string_view key, std::string_view message);
std::string_view AsBytes(const Digest& digest);

}  // namespace samovar
