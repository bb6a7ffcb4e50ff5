#include "models/empty_sequence.h"

#include <string>

#include "models/proto_writer.h"

namespace samovar {
namespace {

std::string Field(std::uint32_t number, std::string_view bytes) {
  std::string out;
  AppendBytesField(number, bytes, out);
  return out;
}

std::string Field(std::uint32_t number, std::uint64_t value) {
  std::string out;
  AppendNumberField(number, value, out);
  return out;
}

// onnx.proto's messages, from the inside out.
std::string Model(ElementType type) {
  constexpr std::uint64_t kIrVersion = 8;
  constexpr std::uint64_t kOpset = 11;  // the first with sequences
  constexpr std::uint64_t kInt = 2;     // AttributeProto.INT
  const auto number = static_cast<std::uint64_t>(type);
  const std::string attribute = Field(1, "dtype") + Field(3, number) + Field(20, kInt);
  const std::string node = Field(2, "s") + Field(4, "SequenceEmpty") + Field(5, attribute);
  const std::string tensor = Field(1, Field(1, number));  // TypeProto.tensor_type.elem_type
  const std::string info = Field(1, "s") + Field(2, Field(4, Field(1, tensor)));
  const std::string graph = Field(1, node) + Field(2, "empty") + Field(12, info);
  return Field(1, kIrVersion) + Field(8, Field(2, kOpset)) + Field(7, graph);
}

}  // namespace

Result<OrtOwned<OrtValue>> EmptySequence(const OrtEnv* env, const OrtSessionOptions* options,
                                         ElementType type) {
  const std::string model = Model(type);
  TRY(auto session, Made<OrtSession>([&](OrtSession** out) {
        return Ort().CreateSessionFromArray(env, model.data(), model.size(), options, out);
      }));
  const char* const name = "s";
  return Made<OrtValue>([&](OrtValue** out) {
    return Ort().Run(session.get(), nullptr, nullptr, nullptr, 0, &name, 1, out);
  });
}

}  // namespace samovar
