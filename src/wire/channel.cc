#include "wire/channel.h"

#include <algorithm>
#include <array>
#include <charconv>

namespace samovar {
namespace {

constexpr std::size_t kMaxField = 6'500;  // ten of them fit into a meta of 65,535 bytes

}  // namespace

std::string_view MetaField(std::string_view meta, std::size_t index) {
  for (; index > 0; --index) {
    std::size_t end = meta.find('\0');
    if (end == std::string_view::npos) return {};
    meta.remove_prefix(end + 1);
  }
  return meta.substr(0, meta.find('\0'));
}

std::string EncodeInvokeMeta(const InvokeMeta& meta) {
  std::array<char, 24> digits;
  char* end = std::to_chars(digits.begin(), digits.end(), meta.deadline_ms).ptr;
  std::string out;
  auto add = [&out](std::string_view field) {
    out.append(field.substr(0, std::min(field.find('\0'), kMaxField))) += '\0';
  };
  for (std::string_view field :
       {meta.request_id, std::string_view(digits.data(), end), meta.invoked_arn, meta.trace_id,
        meta.client_context, meta.cognito_identity,
        std::string_view(meta.streaming ? "streaming" : "buffered"), meta.tenant_id}) {
    add(field);
  }
  if (!meta.content_type.empty() || !meta.accept.empty()) {
    add(meta.content_type);
    add(meta.accept);
  }
  out.pop_back();
  return out;
}

Result<InvokeMeta> DecodeInvokeMeta(std::string_view meta) {
  InvokeMeta out{.request_id = MetaField(meta, 0),
                 .invoked_arn = MetaField(meta, 2),
                 .trace_id = MetaField(meta, 3),
                 .client_context = MetaField(meta, 4),
                 .cognito_identity = MetaField(meta, 5),
                 .streaming = MetaField(meta, 6) == "streaming",
                 .tenant_id = MetaField(meta, 7),
                 .content_type = MetaField(meta, 8),
                 .accept = MetaField(meta, 9)};
  std::string_view deadline = MetaField(meta, 1);
  auto [end, error] =
      std::from_chars(deadline.data(), deadline.data() + deadline.size(), out.deadline_ms);
  if (error != std::errc() || end != deadline.data() + deadline.size()) {
    return Fail(Code::kInvalid, "an INVOKE's deadline is no number");
  }
  return out;
}

}  // namespace samovar
