#include "functions/input.h"

#include <fmt/format.h>

namespace samovar {

namespace json = boost::json;

std::string_view TextOf(const json::object& input, std::string_view key) {
  const auto* value = input.if_contains(key);
  if (!value || !value->is_string()) return {};
  const auto& text = value->get_string();
  return {text.data(), text.size()};
}

std::optional<std::int64_t> IntOf(const json::object& input, std::string_view key) {
  const auto* value = input.if_contains(key);
  if (!value) return std::nullopt;
  if (value->is_int64()) return value->get_int64();
  if (value->is_uint64()) return static_cast<std::int64_t>(value->get_uint64());
  return std::nullopt;
}

bool FlagOf(const json::object& input, std::string_view key) {
  const auto* value = input.if_contains(key);
  return value && value->is_bool() && value->get_bool();
}

const json::object* ObjectOf(const json::object& input, std::string_view key) {
  const auto* value = input.if_contains(key);
  return value ? value->if_object() : nullptr;
}

const json::array* ArrayOf(const json::object& input, std::string_view key) {
  const auto* value = input.if_contains(key);
  return value ? value->if_array() : nullptr;
}

bool Has(const json::object& input, std::string_view key) {
  const auto* value = input.if_contains(key);
  return value && !value->is_null();
}

std::unexpected<Error> InvalidParameter(std::string message) {
  return Fail(Code::kInvalid, std::move(message), "InvalidParameterValueException");
}

std::unexpected<Error> NotFound(std::string message) {
  return Fail(Code::kNotFound, std::move(message), "ResourceNotFoundException");
}

std::unexpected<Error> Conflict(std::string message) {
  return Fail(Code::kConflict, std::move(message), "ResourceConflictException");
}

std::unexpected<Error> Validation(std::string message) {
  return Fail(Code::kInvalid, "1 validation error detected: " + std::move(message),
              "ValidationException");
}

std::unexpected<Error> Unsupported(std::string message) {
  return Fail(Code::kUnsupported, std::move(message));
}

std::unexpected<Error> StaleRevision(std::string_view call) {
  return Fail(
      Code::kPrecondition,
      fmt::format("The Revision Id provided does not match the latest Revision Id. Call the "
                  "{} API to retrieve the latest Revision Id",
                  call),
      "PreconditionFailedException");
}

}  // namespace samovar
