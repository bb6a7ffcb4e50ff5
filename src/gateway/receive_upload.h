#pragma once
// ReceiveUpload: a request's body on its way to a staging file, its signature checked at the end.
// Errors   Those of StagingWriter, of the connection, and kDenied for a body that is not the one
//          that was signed.

#include <memory>

#include "gateway/gateway_core.h"
#include "gateway/staging_writer.h"

namespace samovar {

Task<Result<std::shared_ptr<StagingWriter>>> ReceiveUpload(GatewayParts& parts,
                                                           HttpRequest& request,
                                                           PendingSignature signature, Bytes bound);

}  // namespace samovar
