#pragma once
// PlanImageService: `samovar deploy --image`: a function that is a container image, and what stands
// beside it.
//
// How      With a port the program behind it is a web service: tag samovar:http, and a function URL
//          (signed requests only, unless it shall be open). Always on means a version, the alias
//          "live" and one provisioned instance of it.
// Errors   kInvalid for a name that no function can have.
// Threads  Pure.

#include <functional>
#include <string>

#include "base/error.h"
#include "main/image_import.h"
#include "main/plan.h"
#include "main/session.h"

namespace samovar {

struct ImageService {
  std::string image;  // a file, or a name that the server knows
  std::string name;   // of the function; "": as the image
  std::string account_id = "000000000000";
  int port = 0;  // 0: it speaks the Runtime API
  bool open = false, always_on = false;
  int memory = 0, timeout = 0;  // 0: the default, or as it is
  bool there = false;           // a function of that name
  bool dry_run = false;         // nothing is imported
};

// --image, --http, --public, --always-on
void AddImageOptions(CLI::App* command, ImageService& service);

Result<Plan> PlanImageService(const ImageService& service);
// The same; a file is imported first. `exists`: whether the server has a function of a name.
Result<Plan> FromImage(const Session& session, const ApiClient& client, ImageService service,
                       const std::function<bool(const std::string& name)>& exists);

}  // namespace samovar
