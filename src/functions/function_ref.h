#pragma once
// FunctionRef and LayerRef: what a caller named, taken apart.
//
// How      name, name:qualifier, ACCOUNT:function:name[:qualifier], REGION:ACCOUNT:...,
//          arn:aws:lambda:REGION:ACCOUNT:function:name[:qualifier]. A plain name is one look at its
//          characters. Views point into the text that was given.
// Errors   nullopt for anything else.
// Source   The pattern of NamespacedFunctionName in botocore's model.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace samovar {

struct FunctionRef {
  std::string_view name;
  std::string_view qualifier;  // "" where none was given
  std::string_view region;     // "" where none was given
  std::string_view account;
};

std::optional<FunctionRef> ParseFunctionRef(std::string_view text);

struct LayerRef {
  std::string_view name;
  std::optional<std::uint64_t> version;
  std::string_view region;
};

// arn:aws:lambda:REGION:ACCOUNT:layer:NAME[:VERSION]
std::optional<LayerRef> ParseLayerArn(std::string_view text);

bool IsVersionNumber(std::string_view qualifier);  // "7"; not "0", "007" or "$LATEST"
bool IsAliasName(std::string_view qualifier);      // [a-zA-Z0-9-_]+, not all digits

}  // namespace samovar
