#include "instances/service_fixture.h"

namespace samovar {
namespace {

// Which calls tell their runtime that it may look for the next event before it sleeps.
class BusyCallsTest : public InstanceServiceTest {
 protected:
  void Start(bool busy_poll, Bytes memory) {
    version_.memory = memory;
    options_.busy_poll = busy_poll;
    options_.cores = 4;
    Use([this](FakeProcessPtr process) -> Task<void> {
      co_await process->Send(FrameType::kReady, "fake", "");
      while (true) {
        auto frame = co_await process->channel.Read();
        if (!frame) co_return;
        if (static_cast<FrameType>(frame->type) == FrameType::kShutdown) {
          process->Exit({});
          co_return;
        }
        flags_[frame->payload] = frame->flags;
        CHECK(co_await Until([&] { return flags_.size() >= wanted_; }));
        co_await process->Send(FrameType::kResponse, "", "{}");
      }
    });
  }

  // Calls all of them at once; each ends when all have begun.
  Task<std::string> Flags(const std::vector<std::string>& events) {
    flags_.clear();
    wanted_ = events.size();
    std::vector<Answer> answers;
    for (const auto& event : events) answers.push_back(Call(event));
    for (auto& answer : answers) EXPECT_TRUE((co_await Done(answer)).has_value());
    std::string text;
    for (const auto& event : events) text += static_cast<char>('0' + flags_[event]);
    co_return text;
  }

  std::map<std::string, int> flags_;
  std::size_t wanted_ = 0;
};

TEST_F(BusyCallsTest, AreThoseThatLeaveHalfOfTheProcessorsToOthers) {
  Start(true, Bytes::MiB(1769));
  Run([&]() -> Task<void> {
    EXPECT_EQ(co_await Flags({"1", "2", "3"}), "110");
    const std::uint64_t signs = service_->CallSigns();
    EXPECT_EQ(co_await Flags({"1"}), "1");
    EXPECT_EQ(service_->CallSigns(), signs + 2);
    co_await End();
  });
}

TEST_F(BusyCallsTest, HaveAWholeProcessor) {
  Start(true, Bytes::MiB(1768));
  Run([&]() -> Task<void> {
    EXPECT_EQ(co_await Flags({"1"}), "0");
    co_await End();
  });
}

TEST_F(BusyCallsTest, AreNoneWhereItIsNotConfigured) {
  Start(false, Bytes::MiB(1769));
  Run([&]() -> Task<void> {
    EXPECT_EQ(co_await Flags({"1"}), "0");
    co_await End();
  });
}

}  // namespace
}  // namespace samovar
