#include "wire/sigv4_canonical.h"

#include <fmt/format.h>

#include <algorithm>
#include <ctime>
#include <utility>

#include "base/encoding.h"

namespace samovar {
namespace {

constexpr int kLastYear = 300;  // 2200: later ones do not fit nanoseconds

// RFC 3986, 5.2.4, and runs of slashes made one.
std::string WithoutDotSegments(std::string_view path) {
  std::vector<std::string_view> kept;
  bool slash_at_end = path.ends_with('/');
  while (!path.empty()) {
    std::size_t end = std::min(path.find('/'), path.size());
    std::string_view segment = path.substr(0, end);
    path.remove_prefix(std::min(end + 1, path.size()));
    if (segment == "..") {
      if (!kept.empty()) kept.pop_back();
    } else if (!segment.empty() && segment != ".") {
      kept.push_back(segment);
    }
    if (path.empty() && (segment == "." || segment == "..")) slash_at_end = true;
  }
  std::string out;
  for (std::string_view segment : kept) {
    out += '/';
    out += segment;
  }
  if (slash_at_end || out.empty()) out += '/';
  return out;
}

std::string CanonicalPath(std::string_view path, std::string_view service) {
  if (service == "s3") return std::string(path);  // S3's keys may hold any segment
  return PercentEncode(WithoutDotSegments(path), true);
}

std::string Reencode(std::string_view text) {
  auto decoded = PercentDecode(text);
  return PercentEncode(decoded ? *decoded : text);
}

std::string CanonicalQuery(std::string_view raw) {
  std::vector<std::pair<std::string, std::string>> pairs;
  while (!raw.empty()) {
    std::size_t end = std::min(raw.find('&'), raw.size());
    std::string_view part = raw.substr(0, end);
    raw.remove_prefix(std::min(end + 1, raw.size()));
    if (part.empty()) continue;
    std::size_t equals = std::min(part.find('='), part.size());
    std::string_view value = part.substr(std::min(equals + 1, part.size()));
    std::string name = Reencode(part.substr(0, equals));
    if (name != "X-Amz-Signature") pairs.emplace_back(std::move(name), Reencode(value));
  }
  std::ranges::sort(pairs);
  std::string out;
  for (const auto& [name, value] : pairs) {
    if (!out.empty()) out += '&';
    out += name;
    out += '=';
    out += value;
  }
  return out;
}

bool IsSpace(char c) {
  return c == ' ' || c == '\t' || c == '\r' || c == '\n' || c == '\v' || c == '\f';
}

// Trimmed, with runs of white space made one space.
void AppendValue(std::string& out, std::string_view value) {
  bool space = false;
  std::size_t start = out.size();
  for (char c : value) {
    if (IsSpace(c)) {
      space = true;
      continue;
    }
    if (space && out.size() > start) out += ' ';
    space = false;
    out += c;
  }
}

void AppendHeader(std::string& out, FieldsView fields, std::string_view name) {
  out += name;
  out += ':';
  bool first = true;
  for (const Field& field : fields) {
    if (!SameFieldName(field.first, name)) continue;
    if (!first) out += ',';
    first = false;
    AppendValue(out, field.second);
  }
  out += '\n';
}

}  // namespace

std::string Lowered(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

std::string AmzDate(WallTime time) {
  std::time_t seconds =
      std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(time));
  std::tm utc{};
  gmtime_r(&seconds, &utc);
  char text[32];
  std::size_t n = std::strftime(text, sizeof text, "%Y%m%dT%H%M%SZ", &utc);
  return {text, n};
}

std::optional<WallTime> ParseAmzDate(std::string_view text) {
  if (text.size() != 16 || text[8] != 'T' || text[15] != 'Z') return std::nullopt;
  auto number = [text](std::size_t at, std::size_t n) {
    int value = 0;
    for (char c : text.substr(at, n))
      value = c < '0' || c > '9' ? -100'000 : value * 10 + (c - '0');
    return value;
  };
  std::tm utc{};
  utc.tm_year = number(0, 4) - 1900;
  utc.tm_mon = number(4, 2) - 1;
  utc.tm_mday = number(6, 2);
  utc.tm_hour = number(9, 2);
  utc.tm_min = number(11, 2);
  utc.tm_sec = number(13, 2);
  if (utc.tm_year < 70 || utc.tm_year > kLastYear || utc.tm_mon < 0 || utc.tm_mday < 1 ||
      utc.tm_hour < 0 || utc.tm_min < 0 || utc.tm_sec < 0) {
    return std::nullopt;
  }
  WallTime time = std::chrono::system_clock::from_time_t(timegm(&utc));
  if (AmzDate(time) != text) return std::nullopt;  // 30 February and the like
  return time;
}

std::optional<WallTime> ParseHttpDate(std::string_view text) {
  std::tm utc{};
  std::string copy(text);
  const char* end = strptime(copy.c_str(), "%a, %d %b %Y %H:%M:%S GMT", &utc);
  if (end == nullptr || *end != '\0' || utc.tm_year < 70 || utc.tm_year > kLastYear) {
    return std::nullopt;
  }
  return std::chrono::system_clock::from_time_t(timegm(&utc));
}

std::string JoinNames(const std::vector<std::string>& names) {
  return fmt::format("{}", fmt::join(names, ";"));
}

std::string ScopeText(const CredentialScope& scope) {
  return fmt::format("{}/{}/{}/aws4_request", scope.date, scope.region, scope.service);
}

std::string CanonicalRequest(const RequestHead& head, std::string_view service,
                             const std::vector<std::string>& signed_headers) {
  std::string out(head.method);
  out += '\n';
  out += CanonicalPath(head.path, service);
  out += '\n';
  out += CanonicalQuery(head.raw_query);
  out += '\n';
  for (const std::string& name : signed_headers) AppendHeader(out, head.headers, name);
  out += '\n';
  out += JoinNames(signed_headers);
  out += '\n';
  return out;
}

Digest DeriveSigningKey(std::string_view secret, const CredentialScope& scope) {
  Digest key = HmacSha256("AWS4" + std::string(secret), scope.date);
  key = HmacSha256(AsBytes(key), scope.region);
  key = HmacSha256(AsBytes(key), scope.service);
  return HmacSha256(AsBytes(key), "aws4_request");
}

std::string Signature(const Digest& key, std::string_view amz_date, const CredentialScope& scope,
                      std::string_view canonical_request) {
  std::string to_sign = fmt::format("{}\n{}\n{}\n{}", kSigV4Algorithm, amz_date, ScopeText(scope),
                                    Sha256Hex(canonical_request));
  return HexEncode(AsBytes(HmacSha256(AsBytes(key), to_sign)));
}

}  // namespace samovar
