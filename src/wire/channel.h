#pragma once
// The frames of the channel between server and runtime (docs/formats/channel.md, version 1).
//
// How      EncodeHead writes all of a frame but its payload, which goes out beside it (writev) and
// is
//          never copied. The decoder takes bytes as they come from the socket: read straight into
//          Space(), tell it with Filled(), then take frames from Next().
// Errors   kInvalid for a length below 4 or above the bound, a meta longer than the frame: the end
//          of the instance. A decoder stays broken.
// Threads  None: values of one coroutine.

#include <cstdint>
#include <initializer_list>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "base/error.h"

namespace samovar {

enum class FrameType : std::uint8_t {
  kInvoke = 1,
  kShutdown = 2,
  kReady = 16,
  kInitError = 17,
  kResponse = 18,
  kError = 19,
  kStreamBegin = 20,
  kStreamChunk = 21,
  kStreamEnd = 22,
};

inline constexpr std::uint32_t kMaxFrameLength = 256u << 20;

// Field i of a meta (0 is the first); "" where there are fewer.
std::string_view MetaField(std::string_view meta, std::size_t index);

// A frame's first bytes: length, type, flags, meta. kTooLarge where the payload passes the bound,
// kInvalid where the meta passes 65,535 bytes or a field has a NUL in it. Appends to `out`.
Result<void> EncodeFrameHead(std::string& out, FrameType type,
                             std::span<const std::string_view> meta, std::size_t payload_size);

struct InvokeMeta {
  std::string_view request_id;
  std::int64_t deadline_ms = 0;  // Unix
  std::string_view invoked_arn;
  std::string_view trace_id;
  std::string_view client_context;    // JSON, or ""
  std::string_view cognito_identity;  // JSON, or ""
  bool streaming = false;
  std::string_view tenant_id;
};
// The meta part alone, as net's FrameChannel takes it.
Result<std::string> EncodeInvokeMeta(const InvokeMeta& meta);
Result<void> EncodeInvokeHead(std::string& out, const InvokeMeta& meta, std::size_t payload_size);
// The meta of an INVOKE read back. Views point into `meta`.
Result<InvokeMeta> DecodeInvokeMeta(std::string_view meta);

// A frame as decoded; the views hold until the decoder's next Space(), Feed() or Next().
struct Frame {
  FrameType type{};
  std::uint8_t flags = 0;
  std::string_view meta;
  std::string_view payload;
};

class FrameDecoder {
 public:
  explicit FrameDecoder(std::uint32_t max_length = kMaxFrameLength) : max_length_(max_length) {}

  // Room for at least `least` bytes (more where a frame under way needs more), to read into.
  std::span<char> Space(std::size_t least = 16 * 1024);
  void Filled(std::size_t n);  // n bytes of Space() were written
  void Feed(std::string_view bytes);

  // The next whole frame, or nullopt when more bytes are needed.
  Result<std::optional<Frame>> Next();
  std::size_t Buffered() const { return end_ - begin_; }

 private:
  std::string buffer_;
  std::size_t begin_ = 0;
  std::size_t end_ = 0;
  std::uint32_t max_length_;
  bool broken_ = false;
};

}  // namespace samovar
