#include "store/content_hash.h"

#include <openssl/evp.h>
#include <unistd.h>

#include <algorithm>

#include "base/encoding.h"

namespace samovar {

struct ContentHash::Context {
  std::unique_ptr<EVP_MD_CTX, void (*)(EVP_MD_CTX*)> evp{EVP_MD_CTX_new(), EVP_MD_CTX_free};
};

ContentHash::ContentHash() : context_(std::make_unique<Context>()) {
  // Looked up once: OpenSSL 3 takes longer to find the algorithm than to hash a short text.
  static const EVP_MD* const algorithm = EVP_MD_fetch(nullptr, "SHA256", nullptr);
  CHECK(context_->evp && EVP_DigestInit_ex2(context_->evp.get(), algorithm, nullptr) == 1);
}
ContentHash::~ContentHash() = default;

void ContentHash::Update(std::string_view bytes) {
  CHECK(EVP_DigestUpdate(context_->evp.get(), bytes.data(), bytes.size()) == 1);
}

std::string ContentHash::Hex() {
  std::string hash(32, '\0');
  CHECK(EVP_DigestFinal_ex(context_->evp.get(), reinterpret_cast<unsigned char*>(hash.data()),
                           nullptr) == 1);
  return HexEncode(hash);
}

std::string ContentHash::Of(std::string_view bytes) {
  ContentHash hash;
  hash.Update(bytes);
  return hash.Hex();
}

Result<std::string> ContentHash::OfFile(int fd) {
  ContentHash hash;
  std::string buffer(1 << 20, '\0');
  for (off_t at = 0;;) {
    const auto n = pread(fd, buffer.data(), buffer.size(), at);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return std::unexpected(ErrnoError("read a package"));
    if (n == 0) return hash.Hex();
    hash.Update({buffer.data(), static_cast<std::size_t>(n)});
    at += n;
  }
}

bool IsContentHash(std::string_view text) {
  return text.size() == 64 && std::ranges::all_of(text, [](char c) {
           return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f');
         });
}

}  // namespace samovar
