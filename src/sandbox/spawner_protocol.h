#pragma once
// What passes between the server and the spawner: packets (os/packet_socket.h) of JSON.
//
// How      The server sends a Create or a Clone with a number of its own choosing, which names the
//          sandbox from then on, and orders for a number. The spawner answers each Create once
//          (with descriptors, or an error) and reports the end of each sandbox that it had made.
// Errors   kInvalid for a packet that is not of this form.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "sandbox/sandbox.h"

namespace samovar {

struct SpawnerOrder {
  enum class Kind : std::uint8_t {
    kCreate,
    kKill,
    kFreeze,
    kThaw,
    kUseCpuLimit,
    kDropBooted,
    kClone
  };
  Kind kind = Kind::kKill;
  std::uint64_t number = 0;    // of a DropBooted: 0
  SandboxSpec spec{};          // of a Create
  CloneSpec clone{};           // of a Clone, which is answered as a Create is
  std::uint64_t original = 0;  // of a Clone: what is to be cloned
};

struct SpawnerReport {
  enum class Kind : std::uint8_t { kCreated, kFailed, kExited };
  Kind kind = Kind::kCreated;
  std::uint64_t number = 0;
  // kCreated: which descriptors follow, in this order: log (always), channel, runtime API, memory
  // (memory.stat, or statm of the first process), tmp (a directory on the private /tmp).
  bool channel = false, runtime_api = false, memory = false, tmp = false;
  Bytes booted{};      // kCreated: the memory of the process that was booted ahead for it, or 0
  Error error{};       // kFailed
  SandboxExit exit{};  // kExited
};

std::string EncodeOrder(const SpawnerOrder& order);
Result<SpawnerOrder> DecodeOrder(std::string_view text);
std::string EncodeReport(const SpawnerReport& report);
Result<SpawnerReport> DecodeReport(std::string_view text);

// kInvalid with the field at fault; what the spawner checks before it acts as root.
Result<void> CheckSpec(const SandboxSpec& spec);
Result<void> CheckSpec(const CloneSpec& spec);

}  // namespace samovar
