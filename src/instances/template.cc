#include "instances/template.h"

#include <algorithm>
#include <boost/json/parse.hpp>
#include <boost/json/value.hpp>
#include <iterator>
#include <utility>

namespace samovar {
namespace {

constexpr std::size_t kMaxObstacles = 16;
constexpr std::size_t kMaxText = 500;
constexpr std::size_t kMaxReport = 64 << 10;  // read on the loop

// User code writes on the channel as the runtime does: what it says is bounded.
std::string TextOf(const boost::json::object& object, std::string_view name) {
  const auto* value = object.if_contains(name);
  if (!value || !value->is_string()) return {};
  std::string text(value->get_string());
  if (text.size() > kMaxText) {
    std::size_t end = kMaxText;
    while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
    text.resize(end);
  }
  return text;
}

TemplateReport Unreadable() {
  return {.obstacles = {{"its runtime's report cannot be read", "update the runtime"}}};
}

}  // namespace

TemplateReport ReadTemplateReport(std::string_view json) {
  if (json.size() > kMaxReport) return Unreadable();
  boost::system::error_code error;
  auto value = boost::json::parse(json, error);
  if (error || !value.is_object()) return Unreadable();
  const auto& object = value.get_object();
  const auto* clonable = object.if_contains("clonable");
  if (!clonable || !clonable->is_bool()) return Unreadable();
  TemplateReport report{.clonable = clonable->get_bool()};
  if (const auto* bytes = object.if_contains("private_bytes")) {
    report.private_memory.count = bytes->to_number<std::uint64_t>(error);
    if (error) report.private_memory = {};
  }
  const auto* reasons = object.if_contains("reasons");
  if (!reasons || !reasons->is_array()) return report;
  for (const auto& reason : reasons->get_array()) {
    if (!reason.is_object() || report.obstacles.size() == kMaxObstacles) continue;
    const auto& row = reason.get_object();
    report.obstacles.push_back({TextOf(row, "problem"), TextOf(row, "remedy")});
  }
  return report;
}

void Template::Begin(Instance& process, std::vector<std::string> env, SteadyTime now) {
  stage_ = Stage::kInitialising;
  process_ = &process;
  env_ = std::move(env);
  std::ranges::sort(env_);
  born_ = now;
  lost_ = false;
}

bool Template::Ready(TemplateReport report, SteadyTime now) {
  report_ = std::move(report);
  ready_ = now;
  clone_failures_ = 0;
  if (report_.clonable) {
    stage_ = Stage::kClonable;
    report_.obstacles.clear();
    return true;
  }
  Leave(Stage::kNotClonable);
  return false;
}

void Template::InitFailed(SteadyTime) {
  // Not again without a call that asks for it; with one, at once, as any other start.
  Leave(Stage::kNone);
}

void Template::Ended(SteadyTime now) {
  if (now - ready_ > kStable) wait_ = kFirstWait;
  Leave(Stage::kNone);
  lost_ = true;
  retry_at_ = now + wait_;
  wait_ = std::min<std::chrono::nanoseconds>(wait_ * 2, kLongestWait);
}

Instance* Template::Drop(SteadyTime now, std::chrono::nanoseconds wait) {
  retry_at_ = now + wait;
  return Leave(Stage::kNone);
}

Instance* Template::CloneFailed(SteadyTime now) {
  if (!Clonable() || ++clone_failures_ < kManyFailures) return nullptr;
  Instance* process = process_;
  Ended(now);
  return process;
}

Instance* Template::CloneBroke(SteadyTime, std::string how) {
  if (!Clonable() || ++clone_failures_ < kManyFailures) return nullptr;
  return CannotBeCloned({"clones of it end before they are ready: " + std::move(how),
                         "see the function's log; the tag samovar:clone = off starts every "
                         "instance afresh"});
}

Instance* Template::CannotBeCloned(CloneObstacle obstacle) {
  report_.clonable = false;
  report_.obstacles = {std::move(obstacle)};
  return Leave(Stage::kNotClonable);
}

std::vector<std::string> Template::Difference(const std::vector<std::string>& env) const {
  std::vector<std::string> difference;
  std::ranges::copy_if(env, std::back_inserter(difference), [this](const std::string& variable) {
    return !std::ranges::binary_search(env_, variable);
  });
  return difference;
}

Instance* Template::Leave(Stage stage) {
  stage_ = stage;
  return std::exchange(process_, nullptr);
}

std::string_view StageName(Template::Stage stage) {
  constexpr std::string_view kNames[] = {"none", "initialising", "clonable", "not clonable"};
  return kNames[static_cast<std::size_t>(stage)];
}

}  // namespace samovar
