// What InstanceService tells of itself, and what it keeps ready on others' behalf.

#include <algorithm>
#include <map>
#include <tuple>
#include <utility>

#include "base/log.h"
#include "instances/instance_pool.h"
#include "instances/instance_service.h"

namespace samovar {

Task<Result<void>> InstanceService::Prepare(VersionPtr version) {
  if (draining_) co_return Fail(Code::kUnavailable, "the server is shutting down");
  co_return co_await PoolOf(version).Prepare();
}

Task<Result<void>> InstanceService::TakeOver(VersionPtr from, VersionPtr to) {
  auto at = pools_.find(from->Key());
  if (draining_ || at == pools_.end() || at->second->Size() == 0) co_return Result<void>();
  InstancePool& pool = PoolOf(to);
  InstancePool::Visit visit(pool);
  auto ready = co_await pool.HaveOne(Deadline::After(clock_, options_.init_timeout_ahead));
  // A function may be turned to though it does not start, as on AWS; a model that cannot be loaded
  // has no such past.
  if (ready || (ready.error().code == Code::kInvalid && to->runtime == "onnx")) co_return ready;
  LogWarn("{}: version {} takes over without an instance that is ready: {}", to->function,
          to->number, ready.error().message);
  co_return Result<void>();
}

void InstanceService::SetTargets(std::vector<ProvisionedTarget> targets) {
  std::unordered_map<InstancePool*, int> wanted;
  for (auto& target : targets) wanted[&PoolOf(target.version)] += target.count;
  for (auto& [key, pool] : pools_) {
    auto at = wanted.find(pool.get());
    pool->SetProvisioned(at == wanted.end() ? 0 : at->second);
  }
}

ProvisionedStatus InstanceService::Status(const std::string& version_key) const {
  auto at = pools_.find(version_key);
  return at == pools_.end() ? ProvisionedStatus{} : at->second->Provisioned();
}

std::vector<InstanceStatus> InstanceService::Instances() const {
  std::vector<InstanceStatus> list;
  for (const auto& [key, pool] : pools_) pool->AppendStatus(list, clock_.Now());
  std::ranges::sort(list, {},
                    [](const InstanceStatus& s) { return std::tie(s.function, s.version, s.id); });
  return list;
}

std::vector<TemplateStatus> InstanceService::Templates() const {
  std::vector<TemplateStatus> list;
  for (const auto& [key, pool] : pools_) {
    if (!pool->Retired()) list.push_back(pool->DescribeTemplate(clock_.Now()));
  }
  std::ranges::sort(list, {},
                    [](const TemplateStatus& s) { return std::tie(s.function, s.version); });
  return list;
}

std::string InstanceService::MetricsText() const {
  std::map<std::tuple<std::string, std::string_view>, int> counts;
  for (const auto& status : Instances()) ++counts[{status.function, status.state}];
  std::string out;
  AppendMetricHead(out, "samovar_instances", "gauge", "Instances by function and state.");
  for (const auto& [key, count] : counts) {
    AppendMetric(out, "samovar_instances",
                 {{"function", std::get<0>(key)}, {"state", std::get<1>(key)}}, count);
  }
  std::map<std::string_view, int> stages;
  std::size_t spares = 0;
  Bytes template_memory, spare_memory;
  for (const auto& status : Templates()) {
    ++stages[status.stage];
    spares += status.spares;
    template_memory = template_memory + status.memory;
    spare_memory = spare_memory + status.spare_memory;
  }
  AppendMetricHead(out, "samovar_templates", "gauge", "Versions by what their template is.");
  for (const auto& [stage, count] : stages) {
    AppendMetric(out, "samovar_templates", {{"stage", stage}}, count);
  }
  auto gauge = [&](std::string_view name, std::string_view help, double value) {
    AppendMetricHead(out, name, "gauge", help);
    AppendMetric(out, name, {}, value);
  };
  gauge("samovar_spares", "Clones that are ready and serve nobody yet.",
        static_cast<double>(spares));
  gauge("samovar_templates_memory_bytes", "Memory that templates count with.",
        static_cast<double>(template_memory.count));
  gauge("samovar_spares_memory_bytes", "Memory that spares count with.",
        static_cast<double>(spare_memory.count));
  gauge("samovar_instances_memory_bytes",
        "Memory that instances count with, templates and spares included.",
        static_cast<double>(MemoryInUse().count));
  gauge("samovar_instances_memory_budget_bytes", "Memory that instances may use together.",
        static_cast<double>(options_.memory_budget.count));
  gauge("samovar_queued_invocations", "Invocations that wait for an instance.",
        static_cast<double>(queued_));
  gauge("samovar_running_invocations", "Invocations under way, queued ones included.",
        limits_.Running());
  return out;
}

}  // namespace samovar
