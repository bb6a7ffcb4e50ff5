#include "gateway/body_room.h"

#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <boost/asio/io_context.hpp>
#include <map>
#include <string>

namespace samovar {
namespace {

class BodyRoomTest : public ::testing::Test {
 protected:
  // Asks for room, and keeps what it gets under that name.
  void Ask(BodyRoom& room, const std::string& name, std::uint64_t bytes) {
    auto ask = [this, &room, name, bytes]() -> Task<void> {
      auto lease = co_await room.Take(bytes);
      if (lease) {
        has_.emplace(name, std::move(*lease));
      } else {
        refused_[name] = lease.error().code;
      }
    };
    asio::co_spawn(loop_.get_executor(), std::move(ask), asio::detached);
    Turn();
  }
  void GiveBack(const std::string& name) {
    has_.erase(name);
    Turn();
  }
  void Turn() {
    loop_.restart();
    loop_.poll();
  }
  bool Has(const std::string& name) const { return has_.contains(name); }

  asio::io_context loop_;
  BlockingPool pool_{1};
  TaskGroup tasks_{loop_.get_executor()};
  std::map<std::string, BodyRoom::Lease> has_;
  std::map<std::string, Code> refused_;
};

TEST_F(BodyRoomTest, WhoFindsNoRoomWaitsInLine) {
  BodyRoom room(loop_.get_executor(), pool_, tasks_, {.most = {100}});
  Ask(room, "first", 60);
  Ask(room, "second", 60);
  Ask(room, "small", 10);
  EXPECT_TRUE(Has("first") && !Has("second") && !Has("small"));
  GiveBack("first");
  EXPECT_TRUE(Has("second") && Has("small"));
  EXPECT_EQ(room.Used(), 70U);
  GiveBack("second");
  GiveBack("small");
  EXPECT_EQ(room.Used(), 0U);
}

TEST_F(BodyRoomTest, OneThatIsLargerThanAllRoomGetsItAlone) {
  BodyRoom room(loop_.get_executor(), pool_, tasks_, {.most = {100}});
  Ask(room, "small", 1);
  Ask(room, "huge", 1000);
  EXPECT_FALSE(Has("huge"));
  GiveBack("small");
  EXPECT_TRUE(Has("huge"));
  has_.clear();
}

TEST_F(BodyRoomTest, WhoFindsTheLineFullIsRefused) {
  BodyRoom room(loop_.get_executor(), pool_, tasks_,
                {.most = {100}, .most_waiting = 2, .patience = std::chrono::hours(1)});
  for (const char* name : {"first", "second", "third", "fourth"}) Ask(room, name, 100);
  EXPECT_EQ(refused_, (std::map<std::string, Code>{{"fourth", Code::kOverloaded}}));
  for (const char* name : {"first", "second", "third"}) {
    EXPECT_TRUE(Has(name)) << name;
    GiveBack(name);
  }
  EXPECT_EQ(room.Used(), 0U);
}

TEST_F(BodyRoomTest, WhoWaitedTooLongIsRefusedAndLeavesTheLine) {
  BodyRoom room(loop_.get_executor(), pool_, tasks_,
                {.most = {100}, .patience = std::chrono::milliseconds(1)});
  for (const char* name : {"first", "second", "third"}) Ask(room, name, 100);
  loop_.restart();
  loop_.run();
  EXPECT_EQ(refused_, (std::map<std::string, Code>{{"second", Code::kOverloaded},
                                                   {"third", Code::kOverloaded}}));
  EXPECT_EQ(room.Waiting(), 0U);
  GiveBack("first");
  Ask(room, "fifth", 100);
  EXPECT_TRUE(Has("fifth"));
  has_.clear();
}

class Body final : public BodyReader {
 public:
  explicit Body(std::optional<std::uint64_t> announced) : announced_(announced) {}
  Task<Result<std::string>> ReadAll(Bytes) override { co_return ""; }
  Task<Result<std::optional<std::string>>> ReadSome() override { co_return std::nullopt; }
  std::optional<std::uint64_t> Announced() const override { return announced_; }

 private:
  std::optional<std::uint64_t> announced_;
};

TEST(BodyRooms, CountWhatIsAnnouncedElseWhatItMayBe) {
  constexpr Bytes kLimit = Bytes::MiB(1);
  EXPECT_EQ(BodyRooms::Needs(Body(0), kLimit), std::nullopt);
  EXPECT_EQ(BodyRooms::Needs(Body(64 << 10), kLimit), std::nullopt);
  EXPECT_EQ(BodyRooms::Needs(Body(65 << 10), kLimit), 65U << 10);
  EXPECT_EQ(BodyRooms::Needs(Body(std::nullopt), kLimit), kLimit.count);
  EXPECT_EQ(BodyRooms::Needs(Body(2 << 20), kLimit), std::nullopt);  // refused unread
}

}  // namespace
}  // namespace samovar
