#include "instances/channel_calls.h"

#include <gmock/gmock.h>
#include <sys/socket.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <deque>

#include "wire/channel.h"

namespace samovar {
namespace {

class ChannelCallsTest : public testing::Test {
 protected:
  ChannelCallsTest() {
    int fds[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    ours_.emplace(loop_.get_executor(), Fd(fds[0]));
    theirs_.emplace(loop_.get_executor(), Fd(fds[1]));
    calls_.emplace(loop_.get_executor(), *ours_);
    asio::co_spawn(loop_, calls_->Read([this] { ++receives_; }), asio::detached);
  }

  ~ChannelCallsTest() override {
    ours_->Close();
    loop_.restart();
    loop_.run();
  }

  Task<void> AskOne(std::string id, std::string payload, std::optional<ChannelCalls::Answer>& to) {
    ChannelFrame invoke{static_cast<std::uint8_t>(FrameType::kInvoke), 0, id, {}};
    to = co_await calls_->Ask(id, std::move(invoke), payload,
                              [this](ChannelFrame part) -> Task<bool> {
                                pieces_.push_back(std::move(part.payload));
                                while (hold_) co_await released_.Wait();
                                co_return !full_;
                              });
  }

  void Ask(std::string id, std::string payload) {
    auto& answer = answers_.emplace_back();
    asio::co_spawn(loop_, AskOne(std::move(id), std::move(payload), answer), asio::detached);
  }

  // Answers `count` events with what they hold, together.
  Task<void> AnswerAll(int count) {
    std::string bytes;
    for (int i = 0; i < count; ++i) {
      auto frame = co_await theirs_->Read();
      CHECK(frame.has_value());
      ChannelFrame response{static_cast<std::uint8_t>(FrameType::kResponse), 0, {}, {}};
      response.meta = std::string(1, '\0') + frame->meta;
      CHECK(theirs_->Append(bytes, response, frame->payload).has_value());
    }
    auto sent = co_await theirs_->Send(bytes);
    CHECK(sent.all.has_value());
  }

  Task<void> Send(FrameType type, std::string id, std::string payload) {
    ChannelFrame frame{static_cast<std::uint8_t>(type), 0, std::string(1, '\0') + id, {}};
    std::string bytes;
    CHECK(theirs_->Append(bytes, frame, payload).has_value());
    CHECK((co_await theirs_->Send(bytes)).all.has_value());
  }
  void Stream(FrameType type, std::string id, std::string payload = {}) {
    asio::co_spawn(loop_, Send(type, std::move(id), std::move(payload)), asio::detached);
    Poll();
  }

  // Notes the types and second fields of what the runtime is sent, until the channel closes.
  Task<void> Hear() {
    while (auto frame = co_await theirs_->Read()) {
      heard_.emplace_back(static_cast<FrameType>(frame->type), MetaField(frame->meta, 1));
    }
  }

  void Poll() {
    loop_.restart();
    loop_.poll();
  }

  asio::io_context loop_{1};
  std::optional<FrameChannel> ours_, theirs_;
  std::optional<ChannelCalls> calls_;
  std::deque<std::optional<ChannelCalls::Answer>> answers_;
  int receives_ = 0;
  std::vector<std::string> pieces_;  // of streamed answers
  Signal released_{loop_.get_executor()};
  bool hold_ = false;  // whoever takes pieces is slow
  bool full_ = false;  // and wants no more
  std::vector<std::pair<FrameType, std::string>> heard_;
};

TEST_F(ChannelCallsTest, TakesAnswersThatComeTogetherWithOneReceive) {
  for (int i = 0; i < 5; ++i) Ask(std::to_string(i), "event");
  Poll();
  asio::co_spawn(loop_, AnswerAll(5), asio::detached);
  Poll();
  EXPECT_EQ(receives_, 1);
  for (const auto& answer : answers_) {
    ASSERT_TRUE(answer && answer->frame);
    EXPECT_EQ(answer->frame->payload, "event");
  }
}

TEST_F(ChannelCallsTest, GivesEachCallItsOwnAnswerThoughTheChannelIsFull) {
  constexpr int kCalls = 40;
  const std::string large(300'000, 'p');
  for (int i = 0; i < kCalls; ++i) Ask(std::to_string(i), large + std::to_string(i));
  Poll();
  asio::co_spawn(loop_, AnswerAll(kCalls), asio::detached);
  Poll();
  for (int i = 0; i < kCalls; ++i) {
    const auto& answer = answers_[static_cast<std::size_t>(i)];
    ASSERT_TRUE(answer && answer->frame);
    EXPECT_EQ(answer->frame->payload.substr(large.size()), std::to_string(i));
  }
}

TEST_F(ChannelCallsTest, TellsWhichEventsTheRuntimeNeverHad) {
  const std::string large(3'000'000, 'p');  // more than a socket holds
  Ask("0", "small");
  Poll();
  Ask("1", large);
  Ask("2", "small");
  Poll();
  theirs_->Close();
  Poll();
  for (const auto& answer : answers_) {
    ASSERT_TRUE(answer);
    EXPECT_FALSE(answer->frame);
  }
  EXPECT_TRUE(answers_[0]->sent);
  EXPECT_FALSE(answers_[1]->sent);
  EXPECT_FALSE(answers_[2]->sent);
}

TEST_F(ChannelCallsTest, GivesSmallPiecesTogetherToASlowCallerAndOthersTheirAnswersMeanwhile) {
  asio::co_spawn(loop_, Hear(), asio::detached);
  Ask("slow", "event");
  Ask("fast", "event");
  Poll();
  hold_ = true;
  Stream(FrameType::kStreamBegin, "slow");
  for (int i = 0; i < 1000; ++i) Stream(FrameType::kStreamChunk, "slow", "xy");
  Stream(FrameType::kResponse, "fast", "answer");
  ASSERT_TRUE(answers_[1] && answers_[1]->frame);
  EXPECT_EQ(answers_[1]->frame->payload, "answer");
  hold_ = false;
  released_.Notify();
  Poll();
  EXPECT_EQ(pieces_.size(), 2U);  // the beginning, and all that came behind it
  EXPECT_EQ(pieces_.back().size(), 2000U);
  EXPECT_EQ(heard_.back(), std::pair(FrameType::kTaken, std::string("2000")));
  Stream(FrameType::kStreamEnd, "slow");
  ASSERT_TRUE(answers_[0] && answers_[0]->frame);
}

TEST_F(ChannelCallsTest, CancelsAStreamThatNobodyWants) {
  asio::co_spawn(loop_, Hear(), asio::detached);
  Ask("0", "event");
  Poll();
  full_ = true;
  Stream(FrameType::kStreamBegin, "0");
  EXPECT_EQ(heard_.back().first, FrameType::kCancel);
  Stream(FrameType::kStreamChunk, "0", "dropped");
  Stream(FrameType::kStreamEnd, "0");
  EXPECT_TRUE(answers_[0] && answers_[0]->frame);
  EXPECT_EQ(pieces_.size(), 1U);
}

TEST_F(ChannelCallsTest, CancelsASilentStreamWhoseCallerHasGone) {
  asio::co_spawn(loop_, Hear(), asio::detached);
  Ask("0", "event");
  Poll();
  calls_->Forgo("0");  // nothing has begun: the call goes on
  calls_->Forgo("another");
  Stream(FrameType::kStreamBegin, "0");
  Stream(FrameType::kStreamChunk, "0", "piece");
  EXPECT_EQ(heard_.back(), std::pair(FrameType::kTaken, std::string("5")));
  calls_->Forgo("0");
  calls_->Forgo("0");
  Poll();
  EXPECT_EQ(heard_.size(), 3U);
  EXPECT_EQ(heard_.back().first, FrameType::kCancel);
  Stream(FrameType::kStreamEnd, "0");
  EXPECT_TRUE(answers_[0] && answers_[0]->frame);
}

TEST_F(ChannelCallsTest, EndsWhereARuntimeStreamsMoreThanWasTaken) {
  Ask("0", "event");
  Poll();
  hold_ = true;
  Stream(FrameType::kStreamBegin, "0");
  for (int i = 0; i < 5; ++i) Stream(FrameType::kStreamChunk, "0", std::string(256 << 10, 'p'));
  hold_ = false;
  released_.Notify();
  Poll();
  ASSERT_TRUE(answers_[0]);
  ASSERT_FALSE(answers_[0]->frame);
  EXPECT_EQ(answers_[0]->frame.error().message, "the runtime streamed more than was taken");
}

}  // namespace
}  // namespace samovar
