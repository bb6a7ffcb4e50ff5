#include "instances/package_examiner.h"

#include <fmt/format.h>

#include <boost/asio/posix/basic_stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/json/parse.hpp>
#include <set>

#include "base/ids.h"
#include "instances/signal.h"
#include "packages/package_check.h"

namespace samovar {
namespace {

using Timer = asio::basic_waitable_timer<std::chrono::steady_clock,
                                         asio::wait_traits<std::chrono::steady_clock>, Executor>;

constexpr int kAtATime = 2;
constexpr std::size_t kMaxReport = 1 << 20;
constexpr std::size_t kMaxRemembered = 256;
// The checker stops by itself before (PackageCheck::budget).
constexpr std::chrono::seconds kTimeout{60};
constexpr std::size_t kMaxReasons = 3;  // in a StateReason

// Two versions of equal keys have equal reports.
std::string KeyOf(const SandboxSpec& spec) {
  std::string key;
  for (const auto& argument : spec.argv) key += argument + '\n';
  for (const auto& folder : spec.image) key += folder + '\n';
  for (const auto& mount : spec.mounts) {
    key += mount.source + '\n';
    for (const auto& overlay : mount.overlays) key += overlay + '\n';
  }
  return key;
}

Examination Judge(const CheckReport& report) {
  Examination found;
  std::size_t reasons = 0;
  for (const auto& finding : report.findings) {
    if (!finding.hopeless) {
      found.warnings.push_back(finding.Text());
    } else if (++reasons <= kMaxReasons) {
      found.hopeless += (reasons > 1 ? "\n" : "") + finding.Text();
    }
  }
  if (reasons > kMaxReasons) found.hopeless += fmt::format("\nand {} more", reasons - kMaxReasons);
  return found;
}

}  // namespace

struct PackageExaminer::State {
  explicit State(SandboxHost& sandboxes) : host(&sandboxes) {}

  struct Check {
    std::unique_ptr<Sandbox> sandbox;  // null once it ended
    bool late = false;
  };

  SandboxHost* host;  // null once the examiner is gone
  std::set<std::shared_ptr<Check>> checks;
  int running = 0;
  std::unique_ptr<Signal> ended;
  std::unordered_map<std::string, Examination> remembered;
};

PackageExaminer::PackageExaminer(const Clock& clock, SandboxHost& host, Planner planner,
                                 LogStore& logs)
    : clock_(clock),
      planner_(std::move(planner)),
      logs_(logs),
      state_(std::make_shared<State>(host)) {}

PackageExaminer::~PackageExaminer() {
  for (const auto& check : state_->checks) check->sandbox = nullptr;
  state_->ended = nullptr;
  state_->host = nullptr;
}

Task<Result<Examination>> PackageExaminer::Examine(VersionPtr version) {
  CO_TRY(auto spec, planner_(*version, "check-" + NewUuid()));
  const auto state = state_;
  const auto key = KeyOf(spec);
  const auto known = state->remembered.find(key);
  if (known != state->remembered.end()) {
    Log(*version, known->second);
    co_return known->second;
  }
  CO_TRY(auto found, co_await Run(state, std::move(spec)));
  if (!state->host) co_return Fail(Code::kUnavailable, "the server is shutting down");
  if (state->remembered.size() >= kMaxRemembered) state->remembered.clear();
  state->remembered.emplace(key, found);
  Log(*version, found);
  co_return found;
}

Task<Result<Examination>> PackageExaminer::Run(std::shared_ptr<State> state, SandboxSpec spec) {
  if (!state->ended) state->ended = std::make_unique<Signal>(co_await asio::this_coro::executor);
  while (state->host && state->running >= kAtATime) co_await state->ended->Wait();
  if (!state->host) co_return Fail(Code::kUnavailable, "the server is shutting down");
  ++state->running;
  auto text = co_await Report(state, std::move(spec));
  --state->running;
  if (state->ended) state->ended->Notify();
  if (!text) co_return std::unexpected(text.error());
  boost::system::error_code bad;
  const auto value = boost::json::parse(*text, bad);
  if (bad || !value.is_object()) {
    co_return Fail(Code::kUnavailable, "the checker said: " + text->substr(0, 200));
  }
  co_return Judge(CheckReportOf(value.get_object()));
}

// What the checker prints, to its end.
Task<Result<std::string>> PackageExaminer::Report(std::shared_ptr<State> state, SandboxSpec spec) {
  auto made = co_await state->host->Create(std::move(spec));
  if (!made) co_return std::unexpected(made.error());
  if (!state->host) co_return Fail(Code::kUnavailable, "the server is shutting down");
  const auto check = std::make_shared<State::Check>(std::move(*made));
  state->checks.insert(check);
  const auto loop = co_await asio::this_coro::executor;
  asio::posix::basic_stream_descriptor<Executor> log(loop, check->sandbox->TakeLog().Release());
  Timer timer(loop, kTimeout);
  timer.async_wait([check](const boost::system::error_code& cancelled) {
    if (cancelled || !check->sandbox) return;
    check->late = true;
    check->sandbox->Kill();  // its log ends with it
  });
  std::string text;
  boost::system::error_code error;
  while (!error && text.size() < kMaxReport) {
    char buffer[16 << 10];
    const auto got = co_await log.async_read_some(
        asio::buffer(buffer), asio::redirect_error(asio::use_awaitable_t<Executor>(), error));
    text.append(buffer, got);
  }
  check->sandbox = nullptr;
  state->checks.erase(check);
  if (check->late) co_return Fail(Code::kTimeout, "it was not done within a minute");
  co_return text;
}

void PackageExaminer::Log(const Version& version, const Examination& found) {
  auto writer = logs_.Open(version.function, "check", version.number);
  for (const auto& warning : found.warnings) {
    writer.Append(clock_.Wall(), "SAMOVAR warning: " + warning);
  }
  if (!found.hopeless.empty()) {
    writer.Append(clock_.Wall(), "SAMOVAR error: " + found.hopeless);
  }
}

}  // namespace samovar
