#pragma once
// What the frames of the channel between server and runtime say: their types, and the fields of
// their metas (docs/formats/channel.md). net's FrameChannel carries the frames.
//
// Errors   kInvalid for an INVOKE whose deadline is no number. Nothing else can fail: a field that
//          is not there reads as "".
// Threads  None: pure functions.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

enum class FrameType : std::uint8_t {
  kInvoke = 1,
  kShutdown = 2,
  kTaken = 3,   // so many bytes more of a streamed answer were taken
  kCancel = 4,  // nobody waits for the rest of it
  kReady = 16,
  kInitError = 17,
  kResponse = 18,
  kError = 19,
  kStreamBegin = 20,
  kStreamChunk = 21,
  kStreamEnd = 22,
  kTemplate = 23,  // after READY: whether the process can be cloned
};

// Of INVOKE: few calls run, so the runtime may look for the next one a moment before it sleeps.
inline constexpr std::uint8_t kBusyPollFlag = 1;

// Field i of a meta (0 is the first); "" where there are fewer.
std::string_view MetaField(std::string_view meta, std::size_t index);

struct InvokeMeta {
  std::string_view request_id = {};
  std::int64_t deadline_ms = 0;  // Unix
  std::string_view invoked_arn = {};
  std::string_view trace_id = {};
  std::string_view client_context = {};    // JSON, or ""
  std::string_view cognito_identity = {};  // JSON, or ""
  bool streaming = false;
  std::string_view tenant_id = {};
  std::string_view content_type = {};  // of the payload; "" is application/json
  std::string_view accept = {};        // "" is the same kind as came
};
// Outside text never parts a field in two, nor passes what a meta can hold: a field ends at its
// first NUL, and at 6,500 bytes. The last two are left out where both are empty.
std::string EncodeInvokeMeta(const InvokeMeta& meta);
// The meta of an INVOKE read back. Views point into `meta`.
Result<InvokeMeta> DecodeInvokeMeta(std::string_view meta);

}  // namespace samovar
