#include "wire/channel.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <charconv>
#include <cstring>

namespace samovar {
namespace {

constexpr std::size_t kHeadSize = 8;  // length, type, flags, meta length
constexpr std::size_t kMaxMeta = 65'535;

std::uint32_t Load32(const char* at) {
  std::array<unsigned char, 4> b;
  std::memcpy(b.data(), at, 4);
  return b[0] | static_cast<std::uint32_t>(b[1]) << 8 | static_cast<std::uint32_t>(b[2]) << 16 |
         static_cast<std::uint32_t>(b[3]) << 24;
}

std::uint16_t Load16(const char* at) {
  return static_cast<std::uint16_t>(static_cast<unsigned char>(at[0]) |
                                    static_cast<unsigned char>(at[1]) << 8);
}

Result<std::size_t> MetaSize(std::span<const std::string_view> fields) {
  std::size_t size = fields.empty() ? 0 : fields.size() - 1;
  for (std::string_view field : fields) {
    size += field.size();
    if (field.find('\0') != std::string_view::npos) {
      return Fail(Code::kInvalid, "a field of a frame has a NUL byte in it");
    }
  }
  if (size > kMaxMeta) return Fail(Code::kInvalid, "the fields of a frame pass 65,535 bytes");
  return size;
}

void AppendMeta(std::string& out, std::span<const std::string_view> fields) {
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += '\0';
    out += fields[i];
  }
}

// The fields of an INVOKE; the number lives in `digits`.
std::array<std::string_view, 8> InvokeFields(const InvokeMeta& meta, std::array<char, 24>& digits) {
  auto [end, error] = std::to_chars(digits.data(), digits.data() + digits.size(), meta.deadline_ms);
  return {meta.request_id,
          std::string_view(digits.data(), end),
          meta.invoked_arn,
          meta.trace_id,
          meta.client_context,
          meta.cognito_identity,
          meta.streaming ? "streaming" : "buffered",
          meta.tenant_id};
}

}  // namespace

std::string_view MetaField(std::string_view meta, std::size_t index) {
  for (; index > 0; --index) {
    std::size_t end = meta.find('\0');
    if (end == std::string_view::npos) return {};
    meta.remove_prefix(end + 1);
  }
  return meta.substr(0, meta.find('\0'));
}

Result<void> EncodeFrameHead(std::string& out, FrameType type,
                             std::span<const std::string_view> meta, std::size_t payload_size) {
  TRY(std::size_t meta_size, MetaSize(meta));
  if (payload_size > kMaxFrameLength - 4 - meta_size) {
    return Fail(Code::kTooLarge,
                fmt::format("a frame of {} bytes passes {}", payload_size, kMaxFrameLength));
  }
  std::size_t length = 4 + meta_size + payload_size;
  out.reserve(out.size() + kHeadSize + meta_size);
  for (int shift : {0, 8, 16, 24}) out += static_cast<char>(length >> shift);
  out += static_cast<char>(type);
  out += '\0';
  out += static_cast<char>(meta_size);
  out += static_cast<char>(meta_size >> 8);
  AppendMeta(out, meta);
  return {};
}

Result<std::string> EncodeInvokeMeta(const InvokeMeta& meta) {
  std::array<char, 24> digits;
  auto fields = InvokeFields(meta, digits);
  TRY(std::size_t size, MetaSize(fields));
  std::string out;
  out.reserve(size);
  AppendMeta(out, fields);
  return out;
}

Result<void> EncodeInvokeHead(std::string& out, const InvokeMeta& meta, std::size_t payload_size) {
  std::array<char, 24> digits;
  return EncodeFrameHead(out, FrameType::kInvoke, InvokeFields(meta, digits), payload_size);
}

Result<InvokeMeta> DecodeInvokeMeta(std::string_view meta) {
  InvokeMeta out{.request_id = MetaField(meta, 0),
                 .invoked_arn = MetaField(meta, 2),
                 .trace_id = MetaField(meta, 3),
                 .client_context = MetaField(meta, 4),
                 .cognito_identity = MetaField(meta, 5),
                 .streaming = MetaField(meta, 6) == "streaming",
                 .tenant_id = MetaField(meta, 7)};
  std::string_view deadline = MetaField(meta, 1);
  auto [end, error] =
      std::from_chars(deadline.data(), deadline.data() + deadline.size(), out.deadline_ms);
  if (error != std::errc() || end != deadline.data() + deadline.size()) {
    return Fail(Code::kInvalid, "an INVOKE's deadline is no number");
  }
  return out;
}

std::span<char> FrameDecoder::Space(std::size_t least) {
  if (begin_ == end_) begin_ = end_ = 0;
  // What a frame under way still lacks, but never room for what was only promised.
  if (end_ - begin_ >= 4) {
    std::size_t whole = std::size_t{4} + std::min(Load32(&buffer_[begin_]), max_length_);
    std::size_t have = end_ - begin_;
    if (whole > have) least = std::max(least, std::min(whole - have, have + (64u << 10)));
  }
  if (buffer_.size() - end_ < least) {
    if (begin_ > 0) {
      std::memmove(buffer_.data(), buffer_.data() + begin_, end_ - begin_);
      end_ -= begin_;
      begin_ = 0;
    }
    if (buffer_.size() - end_ < least) buffer_.resize(end_ + least);
  }
  return {buffer_.data() + end_, buffer_.size() - end_};
}

void FrameDecoder::Filled(std::size_t n) {
  CHECK(n <= buffer_.size() - end_);
  end_ += n;
}

void FrameDecoder::Feed(std::string_view bytes) {
  if (bytes.empty()) return;
  std::memcpy(Space(bytes.size()).data(), bytes.data(), bytes.size());
  Filled(bytes.size());
}

Result<std::optional<Frame>> FrameDecoder::Next() {
  if (broken_) return Fail(Code::kInvalid, "the channel broke its format");
  std::size_t have = end_ - begin_;
  if (have < 4) return std::nullopt;
  const char* at = buffer_.data() + begin_;
  std::uint32_t length = Load32(at);
  if (length < 4 || length > max_length_) {
    broken_ = true;
    return Fail(Code::kInvalid, fmt::format("a frame says that it is {} bytes long", length));
  }
  if (have < kHeadSize) return std::nullopt;
  std::size_t meta = Load16(at + 6);
  if (meta > length - 4) {
    broken_ = true;
    return Fail(Code::kInvalid, "a frame's meta part is longer than the frame");
  }
  if (have - 4 < length) return std::nullopt;
  begin_ += 4 + std::size_t{length};
  return Frame{.type = static_cast<FrameType>(at[4]),
               .flags = static_cast<std::uint8_t>(at[5]),
               .meta = {at + kHeadSize, meta},
               .payload = {at + kHeadSize + meta, length - 4 - meta}};
}

}  // namespace samovar
