#include "wire/event_stream.h"

#include <array>
#include <boost/json/object.hpp>
#include <boost/json/serialize.hpp>

namespace samovar {
namespace {

constexpr std::size_t kPreludeSize = 12;
constexpr std::size_t kOverhead = kPreludeSize + 4;
constexpr std::size_t kMaxHeaders = 128 * 1024;
constexpr std::uint8_t kBytesType = 6;
constexpr std::uint8_t kStringType = 7;

constexpr std::array<std::uint32_t, 256> MakeCrcTable() {
  std::array<std::uint32_t, 256> table{};
  for (std::uint32_t i = 0; i < 256; ++i) {
    std::uint32_t c = i;
    for (int k = 0; k < 8; ++k) c = (c & 1) != 0 ? 0xEDB88320u ^ (c >> 1) : c >> 1;
    table[i] = c;
  }
  return table;
}
constexpr auto kCrcTable = MakeCrcTable();

std::uint32_t Crc32(std::string_view bytes) {
  std::uint32_t c = 0xFFFFFFFFu;
  for (char b : bytes) c = kCrcTable[(c ^ static_cast<unsigned char>(b)) & 255] ^ (c >> 8);
  return c ^ 0xFFFFFFFFu;
}

void Put32(std::string& out, std::size_t n) {
  for (int shift : {24, 16, 8, 0}) out += static_cast<char>(n >> shift);
}

std::uint32_t Load(std::string_view at, std::size_t bytes) {
  std::uint32_t n = 0;
  for (std::size_t i = 0; i < bytes; ++i) n = n << 8 | static_cast<unsigned char>(at[i]);
  return n;
}

bool HasLength(std::uint8_t type) { return type == kBytesType || type == kStringType; }

// Bytes of a value of a fixed-size type: true, false, byte, short, int, long, -, -, time, uuid.
std::optional<std::size_t> FixedSize(std::uint8_t type) {
  constexpr std::array<int, 10> kSizes = {0, 0, 1, 2, 4, 8, -1, -1, 8, 16};
  if (type >= kSizes.size() || kSizes[type] < 0) return std::nullopt;
  return static_cast<std::size_t>(kSizes[type]);
}

std::string EncodeHeaders(const std::vector<EventHeader>& headers) {
  std::string out;
  for (const EventHeader& header : headers) {
    CHECK(header.name.size() <= 255 && header.value.size() <= 65'535);
    out += static_cast<char>(header.name.size());
    out += header.name;
    out += static_cast<char>(header.type);
    if (HasLength(header.type)) {
      out += static_cast<char>(header.value.size() >> 8);
      out += static_cast<char>(header.value.size());
    }
    out += header.value;
  }
  return out;
}

std::optional<std::vector<EventHeader>> DecodeHeaders(std::string_view bytes) {
  std::vector<EventHeader> headers;
  while (!bytes.empty()) {
    std::size_t name = static_cast<unsigned char>(bytes[0]);
    if (bytes.size() < name + 2) return std::nullopt;
    EventHeader header{.name = std::string(bytes.substr(1, name)), .value = {}};
    header.type = static_cast<std::uint8_t>(bytes[name + 1]);
    bytes.remove_prefix(name + 2);
    std::size_t size = 0;
    if (HasLength(header.type)) {
      if (bytes.size() < 2) return std::nullopt;
      size = Load(bytes, 2);
      bytes.remove_prefix(2);
    } else if (auto fixed = FixedSize(header.type)) {
      size = *fixed;
    } else {
      return std::nullopt;
    }
    if (bytes.size() < size) return std::nullopt;
    header.value = bytes.substr(0, size);
    bytes.remove_prefix(size);
    headers.push_back(std::move(header));
  }
  return headers;
}

EventMessage Event(std::string_view kind, std::string_view name, std::string_view content_type) {
  EventMessage message;
  message.headers.push_back({.name = std::string(kind), .value = std::string(name)});
  message.headers.push_back({.name = ":content-type", .value = std::string(content_type)});
  bool exception = kind == ":exception-type";
  message.headers.push_back({.name = ":message-type", .value = exception ? "exception" : "event"});
  return message;
}

}  // namespace

std::string_view EventMessage::Header(std::string_view name) const {
  for (const EventHeader& header : headers) {
    if (header.name == name) return header.value;
  }
  return {};
}

std::string EncodeEvent(const EventMessage& message) {
  CHECK(message.payload.size() <= kMaxEventPayload);
  std::string headers = EncodeHeaders(message.headers);
  std::string out;
  out.reserve(kOverhead + headers.size() + message.payload.size());
  Put32(out, kOverhead + headers.size() + message.payload.size());
  Put32(out, headers.size());
  Put32(out, Crc32(out));
  out += headers;
  out += message.payload;
  Put32(out, Crc32(out));
  return out;
}

std::string PayloadChunkEvent(std::string_view bytes) {
  EventMessage message = Event(":event-type", "PayloadChunk", "application/octet-stream");
  message.payload = bytes;
  return EncodeEvent(message);
}

std::string InvokeCompleteEvent(std::string_view error_code, std::string_view error_details,
                                std::string_view log_result) {
  EventMessage message = Event(":event-type", "InvokeComplete", "application/json");
  boost::json::object body;
  if (!error_code.empty()) body["ErrorCode"] = error_code;
  if (!error_details.empty()) body["ErrorDetails"] = error_details;
  if (!log_result.empty()) body["LogResult"] = log_result;
  message.payload = boost::json::serialize(body);
  return EncodeEvent(message);
}

std::string ExceptionEvent(std::string_view name, std::string_view text) {
  EventMessage message = Event(":exception-type", name, "application/json");
  message.payload = boost::json::serialize(boost::json::object{{"message", text}});
  return EncodeEvent(message);
}

void EventStreamDecoder::Feed(std::string_view bytes) {
  if (offset_ > 0) {
    buffer_.erase(0, offset_);
    offset_ = 0;
  }
  buffer_ += bytes;
}

Result<std::optional<EventMessage>> EventStreamDecoder::Next() {
  auto broken = [this](const char* why) {
    broken_ = true;
    return Fail(Code::kInvalid, std::string("the event stream is broken: ") + why);
  };
  if (broken_) return broken("an earlier message was");
  std::string_view bytes = std::string_view(buffer_).substr(offset_);
  if (bytes.size() < kPreludeSize) return std::nullopt;
  std::size_t total = Load(bytes, 4);
  std::size_t headers = Load(bytes.substr(4), 4);
  if (Crc32(bytes.substr(0, 8)) != Load(bytes.substr(8), 4)) return broken("wrong prelude CRC");
  if (headers > kMaxHeaders || total < kOverhead + headers ||
      total - kOverhead - headers > kMaxEventPayload) {
    return broken("wrong length");
  }
  if (bytes.size() < total) return std::nullopt;
  if (Crc32(bytes.substr(0, total - 4)) != Load(bytes.substr(total - 4), 4)) {
    return broken("wrong message CRC");
  }
  auto decoded = DecodeHeaders(bytes.substr(kPreludeSize, headers));
  if (!decoded) return broken("malformed headers");
  EventMessage message{.headers = *std::move(decoded), .payload = {}};
  message.payload = bytes.substr(kPreludeSize + headers, total - kOverhead - headers);
  offset_ += total;
  return message;
}

}  // namespace samovar
