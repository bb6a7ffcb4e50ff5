#pragma once
// InstanceServiceTest: an InstanceService over fake sandboxes and a fake clock.

#include <algorithm>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "instances/fake_sandbox.h"
#include "instances/instance_service.h"
#include "instances/loop_test.h"
#include "store/memory_store.h"
#include "wire/channel.h"

namespace samovar {

using Answer = std::shared_ptr<std::optional<Result<InvocationResult>>>;

// A runtime whose handler is `handle`: it is given each event's payload.
using Handler = std::function<Task<void>(FakeProcess& process, std::string event)>;

inline FakeProgram Runtime(Handler handle) {
  return [handle](FakeProcessPtr process) -> Task<void> {
    co_await process->Send(FrameType::kReady, "fake", "");
    if (process->spec.clonable && !process->parent) {
      co_await process->Send(FrameType::kTemplate, "", process->report);
    }
    while (true) {
      auto frame = co_await process->channel.Read();
      if (!frame) co_return;
      if (static_cast<FrameType>(frame->type) == FrameType::kShutdown) {
        process->Exit({});
        co_return;
      }
      co_await handle(*process, std::move(frame->payload));
    }
  };
}

inline FakeProgram Echo() {
  return Runtime([](FakeProcess& process, std::string event) -> Task<void> {
    co_await process.Send(FrameType::kResponse, "", std::move(event));
  });
}

class InstanceServiceTest : public LoopTest {
 protected:
  InstanceServiceTest() {
    version_.function = "f";
    version_.number = "$LATEST";
    version_.function_arn = "arn:aws:lambda:us-east-1:000000000000:function:f";
    version_.revision = "r1";
    version_.timeout = std::chrono::seconds(3);
    options_.memory_budget = Bytes::GiB(4);
    options_.starts_at_a_time = 4;
  }

  void Use(FakeProgram program) {
    host_ = std::make_unique<FakeHost>(Loop(), std::move(program));
    logs_ = std::make_unique<LogStore>(Loop(), pool_, LogOptions{.directory = Directory()});
    books_ = std::move(*Books::Open(store_, clock_));
    service_ = std::make_unique<InstanceService>(
        Loop(), clock_, options_, *host_,
        [this](const Version&, const std::string& id) -> Result<SandboxSpec> {
          SandboxSpec spec;
          spec.id = id;
          spec.channel = true;
          spec.clonable = clonable_;
          spec.argv = {program_};
          spec.boot = boot_;
          spec.env = {"ID=" + id, "AWS_LAMBDA_INITIALIZATION_TYPE=on-demand"};
          if (clonable_) spec.env.push_back("SAMOVAR_TEMPLATE=1");
          return spec;
        },
        *logs_, *books_);
  }

  VersionPtr Of(std::string function) {
    auto& made = versions_[function];
    if (!made) {
      Version version = version_;
      version.function = function;
      made = std::make_shared<const Version>(version);
    }
    return made;
  }

  Answer Call(std::string payload = "{}", std::string function = "f",
              std::optional<int> reserved = std::nullopt) {
    Invocation call;
    call.request_id = "id-" + std::to_string(++calls_);
    call.version = Of(function);
    call.invoked_arn = call.version->function_arn;
    call.reserved_concurrency = reserved;
    call.payload = std::move(payload);
    call.queue_deadline = Deadline::After(clock_, std::chrono::seconds(60));
    call.want_log_tail = true;
    return Beside(service_->Invoke(std::move(call), nullptr));
  }

  Task<Result<InvocationResult>> Done(Answer answer) {
    bool done = co_await Until([&] { return answer->has_value(); });
    EXPECT_TRUE(done) << "no answer came";
    if (!done) co_return Fail(Code::kInternal, "no answer came");
    co_return **answer;
  }

  Task<void> End() {
    co_await service_->Drain(Deadline{clock_.Now()});
    EXPECT_EQ(host_->Living(), 0);
    EXPECT_EQ(service_->MemoryInUse(), Bytes{});
    EXPECT_FALSE(store_.Contents().empty());  // the books were written
    co_await logs_->Stop();
  }

  // What functions have in the account's books, by member.
  std::uint64_t Count(std::uint64_t Account::* member) const {
    std::uint64_t sum = 0;
    for (const Account* account : books_->List()) sum += account->*member;
    return sum;
  }

  bool clonable_ = false;  // whether the launch plan allows clones
  std::string program_ = "/bin/runtime";
  std::optional<GenericBoot> boot_;  // of the launch plan
  Version version_;
  InstanceOptions options_;
  MemoryStore store_;
  std::unique_ptr<FakeHost> host_;
  std::unique_ptr<LogStore> logs_;
  std::unique_ptr<Books> books_;
  std::unique_ptr<InstanceService> service_;
  std::map<std::string, VersionPtr> versions_;
  int calls_ = 0;
};

}  // namespace samovar
