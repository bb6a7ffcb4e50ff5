#include "models/model_file.h"

#include <fmt/format.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <optional>
#include <set>
#include <string_view>
#include <vector>

#include "models/mapped_model.h"
#include "models/proto_reader.h"
#include "models/tensor.h"

namespace samovar {
namespace {

namespace fs = std::filesystem;

enum class Message { kModel, kTraining, kGraph, kFunction, kNode, kAttribute, kTensor, kSparse };

struct Child {
  Message parent;
  std::uint32_t field;
  Message child;
};
constexpr Child kChildren[] = {
    {Message::kModel, 7, Message::kGraph},       {Message::kModel, 20, Message::kTraining},
    {Message::kModel, 25, Message::kFunction},   {Message::kTraining, 1, Message::kGraph},
    {Message::kTraining, 2, Message::kGraph},    {Message::kGraph, 1, Message::kNode},
    {Message::kGraph, 5, Message::kTensor},      {Message::kGraph, 15, Message::kSparse},
    {Message::kFunction, 7, Message::kNode},     {Message::kFunction, 11, Message::kAttribute},
    {Message::kNode, 5, Message::kAttribute},    {Message::kAttribute, 5, Message::kTensor},
    {Message::kAttribute, 6, Message::kGraph},   {Message::kAttribute, 10, Message::kTensor},
    {Message::kAttribute, 11, Message::kGraph},  {Message::kAttribute, 22, Message::kSparse},
    {Message::kAttribute, 23, Message::kSparse}, {Message::kSparse, 1, Message::kTensor},
    {Message::kSparse, 2, Message::kTensor},
};

// Bits of one element of a TensorProto.DataType; 0 where unknown or text.
unsigned BitsOfDataType(std::uint64_t type) {
  if (type == 24) return 8;                // FLOAT8E8M0
  if (type == 25 || type == 26) return 2;  // UINT2, INT2
  return type <= 23 ? BitsOf(static_cast<ElementType>(type)) : 0;
}

struct TensorFacts {
  std::string name;
  Shape shape;
  std::uint64_t type = 0;
  std::uint64_t location = 0;  // 1: external
  std::optional<std::uint64_t> raw;
  std::uint64_t typed = 0;  // bytes of elements in typed fields
  std::string external;
};

class Walk {
 public:
  Walk(fs::path folder, fs::path package, int nesting)
      : folder_(std::move(folder)), package_(std::move(package)), nesting_(nesting) {}

  Result<void> Visit(Message kind, std::string_view bytes, int depth);
  Result<void> CheckCalls() const;
  bool HasGraph() const { return graph_; }
  std::set<std::string> TakeExternal() { return std::move(external_); }
  std::string TakeRandom() { return std::move(random_); }

 private:
  Result<void> VisitTensor(std::string_view bytes);
  Result<void> CheckSizes(const TensorFacts& tensor) const;
  Result<void> CheckExternal(const TensorFacts& tensor) const;

  fs::path folder_;
  fs::path package_;
  int nesting_;
  bool graph_ = false;
  std::set<std::string> external_;
  std::string random_;
  std::string function_;  // the one whose body is being read; "" outside
  std::map<std::string, std::set<std::string>> calls_;  // function -> operators in its body
};

std::optional<Message> ChildOf(Message parent, std::uint32_t field) {
  for (const Child& child : kChildren) {
    if (child.parent == parent && child.field == field) return child.child;
  }
  return std::nullopt;
}

// "domain:name", where the default domain has two spellings.
Result<std::string> FullName(std::string_view bytes, std::uint32_t name, std::uint32_t domain) {
  std::string_view found_name;
  std::string_view found_domain;
  ProtoReader reader(bytes);
  while (!reader.AtEnd()) {
    TRY(const ProtoField field, reader.Next());
    if (field.number == name && field.is_bytes) found_name = field.bytes;
    if (field.number == domain && field.is_bytes) found_domain = field.bytes;
  }
  if (found_domain == "ai.onnx") found_domain = "";
  return fmt::format("{}:{}", found_domain, found_name);
}

// Dropout draws only where it is told that it trains, in its third input.
bool IsRandom(std::string_view operation, std::string_view node) {
  constexpr std::string_view kRandom[] = {
      ":RandomNormal", ":RandomNormalLike", ":RandomUniform",         ":RandomUniformLike",
      ":Multinomial",  ":Bernoulli",        "com.microsoft:Sampling",
  };
  if (std::ranges::find(kRandom, operation) != std::end(kRandom)) return true;
  if (operation != ":Dropout") return false;
  std::size_t inputs = 0;
  bool trains = false;
  ProtoReader reader(node);
  while (!reader.AtEnd()) {
    const auto field = reader.Next();
    if (!field) return true;
    if (field->number == 1 && ++inputs == 3) trains = !field->bytes.empty();
  }
  return trains;
}

Result<void> Walk::Visit(Message kind, std::string_view bytes, int depth) {
  if (kind == Message::kTensor) return VisitTensor(bytes);
  if (kind == Message::kGraph && ++depth > nesting_) {
    return Fail(Code::kInvalid, fmt::format("graphs are nested more than {} deep", nesting_));
  }
  graph_ |= kind == Message::kGraph;
  if (kind == Message::kFunction) {
    TRY(function_, FullName(bytes, 1, 10));
    calls_[function_];
  }
  if (kind == Message::kNode) {
    TRY(std::string called, FullName(bytes, 4, 7));
    if (IsRandom(called, bytes)) random_ = called.substr(called.find(':') + 1);
    if (!function_.empty()) calls_[function_].insert(std::move(called));
  }
  ProtoReader reader(bytes);
  while (!reader.AtEnd()) {
    TRY(const ProtoField field, reader.Next());
    const auto child = field.is_bytes ? ChildOf(kind, field.number) : std::nullopt;
    if (child) TRY(Visit(*child, field.bytes, depth));
  }
  if (kind == Message::kFunction) function_.clear();
  return {};
}

Result<void> ReadEntry(std::string_view bytes, TensorFacts& tensor) {
  std::string_view key;
  std::string_view value;
  ProtoReader reader(bytes);
  while (!reader.AtEnd()) {
    TRY(const ProtoField field, reader.Next());
    if (field.number == 1) key = field.bytes;
    if (field.number == 2) value = field.bytes;
  }
  if (key == "location") tensor.external = value;
  return {};
}

Result<void> ReadDimensions(const ProtoField& field, TensorFacts& tensor) {
  if (!field.is_bytes) {
    tensor.shape.push_back(static_cast<std::int64_t>(field.value));
    return {};
  }
  // Packed: bare varints. A reader of fields does not take them, so each gets a tag.
  std::string_view rest = field.bytes;
  while (!rest.empty()) {
    std::size_t size = 1;
    while (size < rest.size() && (rest[size - 1] & '\x80') != 0) ++size;
    std::string tagged = '\x08' + std::string(rest.substr(0, size));
    TRY(const ProtoField one, ProtoReader(tagged).Next());
    tensor.shape.push_back(static_cast<std::int64_t>(one.value));
    rest.remove_prefix(size);
  }
  return {};
}

Result<void> Walk::VisitTensor(std::string_view bytes) {
  TensorFacts tensor;
  ProtoReader reader(bytes);
  while (!reader.AtEnd()) {
    TRY(const ProtoField field, reader.Next());
    switch (field.number) {
      case 1:
        TRY(ReadDimensions(field, tensor));
        break;
      case 2:
        tensor.type = field.value;
        break;
      case 8:
        tensor.name = field.bytes;
        break;
      case 9:
        tensor.raw = field.bytes.size();
        break;
      case 13:
        TRY(ReadEntry(field.bytes, tensor));
        break;
      case 14:
        tensor.location = field.value;
        break;
      case 4:
      case 5:
      case 6:
      case 7:
      case 10:
      case 11:  // an empty string counts, too
        tensor.typed += field.is_bytes ? std::max<std::uint64_t>(field.bytes.size(), 1) : 8;
        break;
      default:
        break;
    }
  }
  if (tensor.location != 1) return CheckSizes(tensor);
  TRY(CheckExternal(tensor));
  external_.insert(std::move(tensor.external));
  return {};
}

Result<void> Walk::CheckSizes(const TensorFacts& tensor) const {
  const auto count = ElementCount(tensor.shape);
  if (!count) {
    return Fail(Code::kInvalid, fmt::format("tensor \"{}\" has the impossible shape {}",
                                            tensor.name, ShapeText(tensor.shape)));
  }
  const unsigned bits = BitsOfDataType(tensor.type);
  const std::uint64_t has = tensor.raw.value_or(tensor.typed);
  // In typed fields several elements of few bits may share one byte.
  const bool enough =
      tensor.raw ? bits == 0 || has == (*count * bits + 7) / 8 : has >= (*count + 3) / 4;
  if (!enough) {
    return Fail(Code::kInvalid,
                fmt::format("tensor \"{}\" of shape {} holds only {} bytes, or too many",
                            tensor.name, ShapeText(tensor.shape), has));
  }
  return {};
}

Result<void> Walk::CheckExternal(const TensorFacts& tensor) const {
  const fs::path named(tensor.external);
  bool inside =
      !named.empty() && named.is_relative() && tensor.external.find('\0') == std::string::npos;
  for (const fs::path& part : named) inside = inside && part != "..";
  std::error_code error;
  if (inside) {
    const fs::path real = fs::canonical(folder_ / named, error);
    if (error) {
      return Fail(
          Code::kInvalid,
          fmt::format("tensor \"{}\" names the data file \"{}\", which is not in the package",
                      tensor.name, tensor.external));
    }
    // A link may lead out.
    const fs::path beside = real.lexically_relative(package_);
    inside = !beside.empty() && *beside.begin() != "..";
  }
  if (inside) return {};
  return Fail(Code::kInvalid,
              fmt::format("tensor \"{}\" names the data file \"{}\" outside the package",
                          tensor.name, tensor.external));
}

Result<void> Walk::CheckCalls() const {
  // Takes away functions that call none of those left, until none or only circles are left.
  auto left = calls_;
  for (bool progress = true; progress && !left.empty();) {
    progress = std::erase_if(left, [&](const auto& entry) {
                 return std::ranges::none_of(entry.second, [&](const std::string& called) {
                   return left.contains(called);
                 });
               }) > 0;
  }
  if (left.empty()) return {};
  return Fail(Code::kInvalid,
              fmt::format("the model's function \"{}\" calls itself, directly or not",
                          left.begin()->first));
}

Result<Walk> Check(const std::string& path, const std::string& package, const ModelLimits& limits) {
  TRY(const MappedModel file, MappedModel::Of(path));
  if (file.Bytes().empty()) return Fail(Code::kInvalid, "it is empty");
  if (file.Bytes().size() > limits.file.count) {
    return Fail(Code::kTooLarge,
                fmt::format("it has {} bytes, above the bound of {}; larger weights belong into "
                            "files beside it (external data)",
                            file.Bytes().size(), limits.file.count),
                "Model.TooLarge");
  }
  std::error_code error;
  const fs::path real_package = fs::canonical(package, error);
  Walk walk(fs::path(path).parent_path(), real_package, limits.nesting);
  TRY(walk.Visit(Message::kModel, file.Bytes(), 0));
  // Bytes that happen to read as fields of something.
  if (!walk.HasGraph()) return Fail(Code::kInvalid, "it holds no graph, so it is no ONNX model");
  TRY(walk.CheckCalls());
  return walk;
}

Result<Walk> CheckNamed(const std::string& path, const std::string& package,
                        const ModelLimits& limits) {
  auto checked = Check(path, package, limits);
  if (checked) return checked;
  Error error = std::move(checked.error());
  error.message = fmt::format("{}: {}", fs::path(path).filename().string(), error.message);
  if (error.name.empty()) error.name = "Model.LoadFailed";
  return std::unexpected(std::move(error));
}

}  // namespace

Result<std::set<std::string>> ModelDataFiles(const std::string& path, const std::string& package,
                                             const ModelLimits& limits) {
  TRY(Walk walk, CheckNamed(path, package, limits));
  return walk.TakeExternal();
}

Result<std::string> CheckModelFile(const std::string& path, const std::string& package,
                                   const ModelLimits& limits) {
  TRY(Walk walk, CheckNamed(path, package, limits));
  return walk.TakeRandom();
}

}  // namespace samovar
