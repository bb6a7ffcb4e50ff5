#pragma once
// Sources: what the gateway shows of the rooms below and does not fetch itself.
// How      main() fills them in; an empty function answers as an empty list would.
// Threads  Called on the event loop; none may block.

#include <boost/json/object.hpp>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "base/bytes.h"
#include "instances/books.h"
#include "instances/instance_service.h"
#include "instances/log_store.h"

namespace samovar {

struct InstanceReport {
  Bytes memory_budget;
  Bytes memory_used;
  std::size_t queued = 0;
  std::vector<InstanceStatus> instances;
  std::vector<TemplateStatus> templates;
};

// A runtime of the host: `path` is its interpreter.
struct RuntimeReport {
  std::string name;     // "python3.11"
  std::string version;  // "3.11.7"
  std::string path;
};
struct UnusableRuntime {
  std::string path;
  std::string reason;
};
struct RuntimesReport {
  std::vector<RuntimeReport> runtimes;
  std::vector<UnusableRuntime> unusable;
};

using InstanceSource = std::function<InstanceReport()>;
using RuntimeSource = std::function<RuntimesReport()>;
using ConfigSource = std::function<boost::json::object()>;
using MetricsSource = std::function<std::string()>;  // Prometheus text

}  // namespace samovar
