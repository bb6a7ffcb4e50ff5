#pragma once
// The binary frames of application/vnd.amazon.eventstream, in which InvokeWithResponseStream
// answers.
//
// How      A message: u32 total length, u32 headers length, u32 CRC of those; headers; payload; u32
//          CRC of all before. Big-endian, CRC-32 (IEEE). The decoder takes bytes as they come.
// Errors   A decoder that saw a wrong length or CRC answers kInvalid, then and ever after.
// Source   smithy.io "Amazon Event Stream"; botocore.eventstream.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace samovar {

struct EventHeader {
  std::string name;
  std::string value;      // bytes as on the wire (strings without their length)
  std::uint8_t type = 7;  // 7 is a string; the others as the format numbers them
};

struct EventMessage {
  std::vector<EventHeader> headers;
  std::string payload;

  std::string_view Header(std::string_view name) const;  // "" where absent
};

inline constexpr std::string_view kEventStreamContentType = "application/vnd.amazon.eventstream";
inline constexpr std::size_t kMaxEventPayload = std::size_t{16} << 20;

// REQUIRES: payload at most kMaxEventPayload, header names at most 255 bytes.
std::string EncodeEvent(const EventMessage& message);

// A piece of the answer. Longer pieces than kMaxEventPayload are for the caller to cut.
std::string PayloadChunkEvent(std::string_view bytes);
// The last message: error_code and error_details are "" after success; log_result is base64 or "".
std::string InvokeCompleteEvent(std::string_view error_code, std::string_view error_details,
                                std::string_view log_result);
// An API error in mid-stream, e.g. "ServiceException".
std::string ExceptionEvent(std::string_view name, std::string_view message);

class EventStreamDecoder {
 public:
  void Feed(std::string_view bytes);
  // The next whole message; nullopt when more bytes are needed.
  Result<std::optional<EventMessage>> Next();
  // Whether bytes of an unfinished message are waiting.
  bool Pending() const { return buffer_.size() > offset_; }

 private:
  std::string buffer_;
  std::size_t offset_ = 0;
  bool broken_ = false;
};

}  // namespace samovar
