#include "collections/codes.h"

#if defined(__x86_64__)
#include <immintrin.h>
#endif

#include <algorithm>
#include <cmath>
#include <cstring>
#include <limits>

namespace samovar {
namespace {

constexpr float kMostSteps = 127;
constexpr std::size_t kLine = 64;

// To the nearest whole number, for what is below 2^22: where the sum has no room for a fraction.
float Rounded(float value) {
  constexpr float kNoFraction = 12'582'912;  // 1.5 * 2^23
  return (value + kNoFraction) - kNoFraction;
}

// In steps of what is answered; 0: there is nothing in it.
float Steps(std::span<const float> values, std::int8_t* code) {
  float largest = 0;
  for (const float value : values) largest = std::max(largest, std::abs(value));
  if (largest < kMostSteps * std::numeric_limits<float>::min()) {
    std::memset(code, 0, values.size());
    return 0;
  }
  const float steps = kMostSteps / largest;
  for (std::size_t i = 0; i < values.size(); ++i) {
    code[i] = static_cast<std::int8_t>(static_cast<int>(Rounded(values[i] * steps)));
  }
  return largest / kMostSteps;
}

float SquareOf(std::span<const float> values) {
  double square = 0;
  for (const float value : values) square += static_cast<double>(value) * value;
  return static_cast<float>(square);
}

// Sums of (code + 128) * query: the instruction that multiplies bytes wants one side unsigned.
// The query has zeros up to a whole line; codes are a multiple of 32 bytes. Which of the functions
// it is, is picked by what the processor can do, as in kernel.h.
#if defined(__x86_64__) && !__has_feature(address_sanitizer) && !__has_feature(thread_sanitizer)

__attribute__((target("avx512f,avx512bw,avx512vl,avx512vnni"))) void Products(
    const RowCodes& rows, const std::uint32_t* list, std::size_t count, const std::int8_t* query,
    std::int32_t* out) {
  const __m512i flip = _mm512_set1_epi8(-128);
  for (std::size_t i = 0; i < count; ++i) {
    const char* row = rows.At(list[i]);
    __m512i even = _mm512_setzero_si512();
    __m512i odd = _mm512_setzero_si512();
    std::size_t at = 0;
    for (; at + 2 * kLine <= rows.bytes; at += 2 * kLine) {
      even = _mm512_dpbusd_epi32(even, _mm512_xor_si512(_mm512_loadu_si512(row + at), flip),
                                 _mm512_loadu_si512(query + at));
      odd = _mm512_dpbusd_epi32(odd, _mm512_xor_si512(_mm512_loadu_si512(row + at + kLine), flip),
                                _mm512_loadu_si512(query + at + kLine));
    }
    for (; at < rows.bytes; at += kLine) {
      const __mmask64 there = rows.bytes - at >= kLine ? ~__mmask64{0} : __mmask64{0xffffffff};
      const __m512i codes = _mm512_maskz_loadu_epi8(there, row + at);
      even =
          _mm512_dpbusd_epi32(even, _mm512_xor_si512(codes, flip), _mm512_loadu_si512(query + at));
    }
    out[i] = _mm512_reduce_add_epi32(_mm512_add_epi32(even, odd));
  }
}

__attribute__((target("avx2"))) void Products(const RowCodes& rows, const std::uint32_t* list,
                                              std::size_t count, const std::int8_t* query,
                                              std::int32_t* out) {
  const __m256i flip = _mm256_set1_epi16(128);
  for (std::size_t i = 0; i < count; ++i) {
    const char* row = rows.At(list[i]);
    __m256i sum = _mm256_setzero_si256();
    for (std::size_t at = 0; at < rows.bytes; at += 16) {
      const auto* code = reinterpret_cast<const __m128i*>(row + at);
      const auto* its = reinterpret_cast<const __m128i*>(query + at);
      const __m256i wide = _mm256_add_epi16(_mm256_cvtepi8_epi16(_mm_loadu_si128(code)), flip);
      sum = _mm256_add_epi32(sum,
                             _mm256_madd_epi16(wide, _mm256_cvtepi8_epi16(_mm_loadu_si128(its))));
    }
    __m128i half = _mm_add_epi32(_mm256_castsi256_si128(sum), _mm256_extracti128_si256(sum, 1));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0x4e));
    half = _mm_add_epi32(half, _mm_shuffle_epi32(half, 0xb1));
    out[i] = _mm_cvtsi128_si32(half);
  }
}

#define SAMOVAR_ANY_PROCESSOR __attribute__((target("default")))
#else
#define SAMOVAR_ANY_PROCESSOR
#endif

SAMOVAR_ANY_PROCESSOR void Products(const RowCodes& rows, const std::uint32_t* list,
                                    std::size_t count, const std::int8_t* query,
                                    std::int32_t* out) {
  for (std::size_t i = 0; i < count; ++i) {
    const char* row = rows.At(list[i]);
    std::int32_t sum = 0;
    for (std::size_t at = 0; at < rows.bytes; ++at) {
      sum += (static_cast<std::int8_t>(row[at]) + 128) * query[at];
    }
    out[i] = sum;
  }
}

// What is multiplied by a row's steps.
float FactorOf(Metric metric, float step, float inverse_norm) {
  return metric == Metric::kCosine ? step * inverse_norm : step;
}

}  // namespace

std::size_t CodeBytes(const Schema& schema) {
  return (schema.dimension + kLine - 1) / kLine * kLine;
}

layout::CodeFacts EncodeRow(const Schema& schema, std::span<const float> values, char* code) {
  std::memset(code + values.size(), 0, CodeBytes(schema) - values.size());
  const float step = Steps(values, reinterpret_cast<std::int8_t*>(code));
  const float square = SquareOf(values);
  const float inverse_norm = square > 0 ? 1 / std::sqrt(square) : 0;
  return {.factor = FactorOf(schema.metric, step, inverse_norm),
          .square = schema.metric == Metric::kL2 ? square : 0};
}

layout::CodeFacts FactsOfCode(const Schema& schema, const layout::Facts& facts) {
  const float norm = facts.inverse_norm > 0 ? 1 / facts.inverse_norm : 0;
  return {.factor = FactorOf(schema.metric, facts.scale, facts.inverse_norm),
          .square = schema.metric == Metric::kL2 ? norm * norm : 0};
}

CodeQuery::CodeQuery(const Schema& schema) : schema_(schema), code_(CodeBytes(schema)) {}

void CodeQuery::Become(std::span<const float> values) {
  const float step = Steps(values, code_.data());
  const float square = SquareOf(values);
  const float inverse_norm = square > 0 ? 1 / std::sqrt(square) : 0;
  factor_ = FactorOf(schema_.metric, step, inverse_norm);
  square_ = schema_.metric == Metric::kL2 ? square : 0;
  SumUp();
}

void CodeQuery::Become(const RowCodes& rows, std::uint32_t row) {
  std::memcpy(code_.data(), rows.At(row), std::min(rows.bytes, code_.size()));
  factor_ = rows.facts[row].factor;
  square_ = rows.facts[row].square;
  SumUp();
}

void CodeQuery::SumUp() {
  sum_ = 0;
  for (const std::int8_t each : code_) sum_ += each;
}

void CodeQuery::Rank(const RowCodes& rows, const std::uint32_t* list, std::size_t count,
                     float* out) const {
  constexpr std::size_t kTogether = 64;
  std::int32_t products[kTogether];
  const float factor = schema_.metric == Metric::kL2 ? 2 * factor_ : factor_;
  for (std::size_t from = 0; from < count; from += kTogether) {
    const std::size_t part = std::min(kTogether, count - from);
    Products(rows, list + from, part, code_.data(), products);
    for (std::size_t i = 0; i < part; ++i) {
      const layout::CodeFacts& its = rows.facts[list[from + i]];
      const auto product = static_cast<float>(products[i] - 128 * sum_);
      out[from + i] = product * its.factor * factor - its.square - square_;
    }
  }
}

}  // namespace samovar
