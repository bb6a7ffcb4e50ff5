#include "wire/lambda_model.h"

#include <fmt/format.h>

#include <algorithm>
#include <boost/json/array.hpp>
#include <boost/json/parse.hpp>
#include <boost/json/stream_parser.hpp>
#include <vector>

#include "wire/lambda_input.h"
#include "wire/lambda_model_data.h"
#include "wire/lambda_routes.h"
#include "wire/lambda_shapes.h"
#include "wire/request_json.h"

namespace samovar {
namespace json = boost::json;

struct LambdaModel::Data {
  json::value text;  // what the operations' names point into
  std::vector<LambdaOperation> operations;
  std::vector<Shape> shapes;
  LambdaRoutes routes{operations};
  const ShapeMember* invoke_name = nullptr;
  const ShapeMember* invoke_qualifier = nullptr;

  explicit Data(json::value from);
  const ShapeMember* Member(std::string_view operation, std::string_view name) const;
  Result<json::value> ParseBody(const LambdaOperation& operation, std::string_view body) const;
};

namespace {

json::value ReadModel() {
  json::stream_parser parser;
  for (std::string_view piece : LambdaModelJson()) parser.write(piece.data(), piece.size());
  parser.finish();
  return parser.release();
}

std::vector<LambdaOperation> ReadOperations(const json::value& text) {
  std::vector<LambdaOperation> operations;
  for (const json::value& entry : text.at("operations").as_array()) {
    const json::array& o = entry.as_array();
    operations.push_back({.name = o[0].as_string(),
                          .method = o[1].as_string(),
                          .path = o[2].as_string(),
                          .success_status = o[3].to_number<std::uint16_t>(),
                          .payload = o[4].as_string(),
                          .input = o[5].to_number<std::uint16_t>()});
  }
  return operations;
}

std::vector<Shape> ReadShapes(const json::value& text) {
  std::vector<Shape> shapes;
  for (const json::value& entry : text.at("shapes").as_array()) {
    shapes.emplace_back(entry.as_object());
  }
  return shapes;
}

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
           c == '_';
  });
}

// A member from the query: one parameter, or all of that name for a list.
Result<std::optional<json::value>> FromQuery(InputChecker& checker,
                                             const std::vector<Shape>& shapes,
                                             const ShapeMember& member, FieldsView query) {
  const Shape& shape = shapes[member.shape];
  if (shape.type != ShapeType::kList) {
    // Names of query parameters, unlike headers', have a case.
    auto field = std::ranges::find(query, member.wire_name, &Field::first);
    if (field == query.end()) return std::nullopt;
    return checker.FromText(member.shape, field->second, member.path_name);
  }
  json::array list;
  for (const Field& field : query) {
    if (field.first != member.wire_name) continue;
    InputChecker alone(shapes);
    TRY(json::value value, alone.FromText(shape.of, field.second, member.path_name));
    list.push_back(std::move(value));
  }
  if (list.empty()) return std::nullopt;
  checker.CheckList(shape, list, member.path_name);
  return list;
}

}  // namespace

LambdaModel::Data::Data(json::value from)
    : text(std::move(from)), operations(ReadOperations(text)), shapes(ReadShapes(text)) {
  invoke_name = Member("Invoke", "FunctionName");
  invoke_qualifier = Member("Invoke", "Qualifier");
}

const ShapeMember* LambdaModel::Data::Member(std::string_view operation,
                                             std::string_view name) const {
  auto found = std::ranges::find(operations, operation, &LambdaOperation::name);
  CHECK(found != operations.end());
  const auto& members = shapes[found->input].members;
  auto member = std::ranges::find(members, name, &ShapeMember::name);
  CHECK(member != members.end());
  return &*member;
}

// The body as an object of members, or {} where it is a payload of bytes.
Result<json::value> LambdaModel::Data::ParseBody(const LambdaOperation& operation,
                                                 std::string_view body) const {
  if (body.empty()) return json::object();
  if (operation.payload.empty()) return ParseRequestJson(body);
  const auto& members = shapes[operation.input].members;
  auto payload = std::ranges::find(members, operation.payload, &ShapeMember::name);
  if (shapes[payload->shape].type != ShapeType::kStructure) return json::object();
  TRY(json::value value, ParseRequestJson(body));
  json::object whole;
  whole[payload->wire_name] = std::move(value);
  return whole;
}

LambdaModel::LambdaModel() : data_(std::make_unique<const Data>(ReadModel())) {}
LambdaModel::~LambdaModel() = default;

std::expected<RouteMatch, RouteMiss> LambdaModel::MatchRoute(std::string_view method,
                                                             std::string_view path,
                                                             std::string_view raw_query) const {
  return data_->routes.Match(method, path, raw_query);
}

Result<json::object> LambdaModel::DecodeInput(const RouteMatch& route, std::string_view raw_query,
                                              FieldsView headers, std::string_view body) const {
  const LambdaOperation& operation = *route.operation;
  TRY(json::value members, data_->ParseBody(operation, body));
  if (!members.is_object()) {
    return Fail(Code::kInvalid, "Start of list or value found where a structure is expected",
                "SerializationException");
  }
  Fields query = ParseQuery(raw_query);
  InputChecker checker(data_->shapes);
  json::object input;
  // AWS tells what is wrong with the path last.
  for (bool uri : {false, true}) {
    for (const ShapeMember& member : data_->shapes[operation.input].members) {
      if ((member.place == Place::kUri) != uri) continue;
      std::optional<json::value> made;
      if (member.place == Place::kUri) {
        TRY(made, checker.FromText(member.shape, route.Param(member.wire_name), member.path_name));
      } else if (member.place == Place::kQuery) {
        TRY(made, FromQuery(checker, data_->shapes, member, query));
      } else if (member.place == Place::kHeader) {
        if (const std::string* value = FindField(headers, member.wire_name)) {
          TRY(made, checker.FromText(member.shape, *value, member.path_name));
        }
      } else if (json::value* value = members.get_object().if_contains(member.wire_name);
                 value && !value->is_null()) {
        TRY(made, checker.FromJson(member.shape, std::move(*value), member.path_name));
      }
      if (made) {
        input.insert_or_assign(member.name, *std::move(made));
      } else if (member.required && member.name != operation.payload) {
        checker.Missing(member.path_name);
      }
    }
  }
  TRY(checker.Verdict());
  return input;
}

const LambdaOperation* LambdaModel::FindOperation(std::string_view name) const {
  auto found = std::ranges::find(data_->operations, name, &LambdaOperation::name);
  return found == data_->operations.end() ? nullptr : &*found;
}

std::size_t LambdaModel::OperationCount() const { return data_->operations.size(); }

Result<void> LambdaModel::CheckInvokeTarget(std::string_view function_name,
                                            std::string_view qualifier) const {
  bool plain = IsPlainName(function_name);
  if (plain && (qualifier.empty() || IsPlainName(qualifier))) return {};
  InputChecker checker(data_->shapes);
  if (!qualifier.empty()) {
    TRY(checker.FromText(data_->invoke_qualifier->shape, qualifier, "qualifier"));
  }
  TRY(checker.FromText(data_->invoke_name->shape, function_name, "functionName"));
  return checker.Verdict();
}

std::string_view RouteMatch::Param(std::string_view name) const {
  for (std::size_t i = 0; i < param_count; ++i) {
    if (params[i].name == name) return params[i].value;
  }
  return {};
}

Error RouteMissError(RouteMiss miss, std::string_view method, std::string_view path) {
  switch (miss) {
    case RouteMiss::kWrongMethod:
      return {Code::kInvalid, fmt::format("{} is not allowed for {}", method, path),
              "MethodNotAllowedException"};
    case RouteMiss::kBadEncoding:
      return {Code::kInvalid, fmt::format("The path {} is not percent-encoded as it must be", path),
              "InvalidParameterValueException"};
    case RouteMiss::kNotLambda:
    case RouteMiss::kUnknownOperation:
      break;
  }
  return {Code::kNotFound, fmt::format("Unknown operation: {} {}", method, path),
          "UnknownOperationException"};
}

}  // namespace samovar
