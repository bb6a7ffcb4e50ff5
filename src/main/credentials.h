#pragma once
// FindCredentials: whose keys the command line signs with, found as AWS's own tools find them.
//
// How      AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY; else the profile (AWS_PROFILE, or
//          "default") of the credentials file, then of the config file; else a key that a server
//          without keys accepts like any other.
// Errors   kInvalid for a profile that was asked for and is not there, or lacks one of its two
//          keys.
// Threads  Values. ParseIni is pure and safe to fuzz.
// Source   docs.aws.amazon.com, "Configuration and credential file settings".

#include <map>
#include <string>
#include <string_view>

#include "base/error.h"
#include "wire/sigv4.h"

namespace samovar {

using IniFile = std::map<std::string, std::map<std::string, std::string>>;
// Sections and their settings. Nested settings (indented below an empty one) and lines that are
// neither are passed over.
IniFile ParseIni(std::string_view text);

struct CredentialSources {
  std::map<std::string, std::string> environment;
  std::string credentials_text;  // of ~/.aws/credentials, or ""
  std::string config_text;       // of ~/.aws/config, or ""
};

struct FoundCredentials {
  SigningCredentials keys;
  std::string region = "us-east-1";
  std::string origin;  // "the environment", "profile default", "no key"
};

Result<FoundCredentials> FindCredentials(const CredentialSources& sources);
// With the real environment and files.
Result<FoundCredentials> FindCredentialsOnSystem();

}  // namespace samovar
