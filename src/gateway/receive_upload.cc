#include "gateway/receive_upload.h"

#include "wire/sha256.h"

namespace samovar {

Task<Result<std::shared_ptr<StagingWriter>>> ReceiveUpload(GatewayParts& parts,
                                                           HttpRequest& request,
                                                           PendingSignature signature,
                                                           Bytes bound) {
  auto writer = std::make_shared<StagingWriter>(parts.packages, bound);
  auto hash = std::make_shared<Sha256>();
  const bool hashed = signature && signature->NeedsBodyHash();
  while (true) {
    CO_TRY(auto piece, co_await request.body->ReadSome());
    if (!piece) break;
    auto keep = [writer, hash, hashed, bytes = std::move(*piece)] {
      if (hashed) hash->Update(bytes);
      return writer->Append(bytes);
    };
    CO_TRY(co_await RunBlocking(parts.pool, std::move(keep)));
  }
  if (signature) CO_TRY(signature->Finish(hashed ? hash->HexDigest() : ""));
  co_return writer;
}

}  // namespace samovar
