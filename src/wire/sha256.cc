#include "wire/sha256.h"

#include <openssl/evp.h>

#include "base/encoding.h"
#include "base/error.h"

namespace samovar {
namespace {

// Looked up once: OpenSSL 3 takes longer to find the algorithm than to hash a short text.
const EVP_MD* Algorithm() {
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  return algorithm;
}

struct FreeContext {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using ContextPtr = std::unique_ptr<EVP_MD_CTX, FreeContext>;

void Start(EVP_MD_CTX* context) { CHECK(EVP_DigestInit_ex2(context, Algorithm(), nullptr) == 1); }
void Add(EVP_MD_CTX* context, std::string_view bytes) {
  CHECK(EVP_DigestUpdate(context, bytes.data(), bytes.size()) == 1);
}
Digest End(EVP_MD_CTX* context) {
  Digest digest;
  CHECK(EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1);
  return digest;
}

}  // namespace

struct Sha256::Context {
  ContextPtr evp{EVP_MD_CTX_new()};
};

Sha256::Sha256() : context_(std::make_unique<Context>()) { Start(context_->evp.get()); }
Sha256::~Sha256() = default;
Sha256::Sha256(Sha256&&) noexcept = default;
Sha256& Sha256::operator=(Sha256&&) noexcept = default;

void Sha256::Update(std::string_view bytes) { Add(context_->evp.get(), bytes); }
std::string Sha256::HexDigest() { return HexEncode(AsBytes(End(context_->evp.get()))); }

std::string Sha256Hex(std::string_view bytes) {
  Sha256 hash;
  hash.Update(bytes);
  return hash.HexDigest();
}

Digest HmacSha256(std::string_view key, std::string_view message) {
  constexpr std::size_t kBlock = 64;
  ContextPtr context{EVP_MD_CTX_new()};
  std::array<char, kBlock> inner{};
  if (key.size() > kBlock) {
    Start(context.get());
    Add(context.get(), key);
    Digest digest = End(context.get());
    AsBytes(digest).copy(inner.data(), digest.size());
  } else {
    key.copy(inner.data(), key.size());
  }
  std::array<char, kBlock> outer = inner;
  for (char& c : inner) c = static_cast<char>(c ^ 0x36);
  for (char& c : outer) c = static_cast<char>(c ^ 0x5c);
  Start(context.get());
  Add(context.get(), {inner.data(), kBlock});
  Add(context.get(), message);
  Digest digest = End(context.get());
  Start(context.get());
  Add(context.get(), {outer.data(), kBlock});
  Add(context.get(), AsBytes(digest));
  return End(context.get());
}

std::string_view AsBytes(const Digest& digest) {
  return {reinterpret_cast<const char*>(digest.data()), digest.size()};
}

}  // namespace samovar
