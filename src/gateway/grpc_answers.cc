#include "gateway/grpc_answers.h"

#include <fmt/format.h>

#include <utility>

namespace samovar {

Result<std::uint64_t> GrpcAnswers::Hold(Bytes bytes, std::function<void()> break_off) {
  const SteadyTime now = clock_.Now();
  auto fits = [&] { return used_.count == 0 || used_.count + bytes.count <= options_.most.count; };
  for (auto& [number, held] : held_) {
    if (fits() || now - held.since < options_.patience) break;
    BreakOff(held);
  }
  if (!fits()) {
    return Fail(Code::kThrottled,
                fmt::format("{} answers with {} MiB wait for clients to take them; try again",
                            held_.size(), used_.WholeMiB()));
  }
  const std::uint64_t number = next_++;
  used_.count += bytes.count;
  held_.emplace(number, Held{bytes, now, std::move(break_off)});
  return number;
}

void GrpcAnswers::Release(std::uint64_t number) {
  const auto found = held_.find(number);
  if (found == held_.end()) return;
  if (found->second.break_off) used_.count -= found->second.bytes.count;
  held_.erase(found);
}

void GrpcAnswers::BreakOffLate() {
  const SteadyTime now = clock_.Now();
  for (auto& [number, held] : held_) {
    const std::chrono::seconds more(held.bytes.count / options_.a_second.count);
    if (now - held.since >= options_.to_take + more) BreakOff(held);
  }
}

void GrpcAnswers::BreakOff(Held& held) {
  if (!held.break_off) return;
  used_.count -= held.bytes.count;
  std::exchange(held.break_off, nullptr)();
}

}  // namespace samovar
