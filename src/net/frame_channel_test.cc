#include "net/frame_channel.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <optional>

namespace samovar {
namespace {

struct Pair {
  asio::io_context loop{1};
  Fd left, right;
  Pair() {
    int fds[2];
    CHECK(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds) == 0);
    left = Fd(fds[0]);
    right = Fd(fds[1]);
  }
  FrameChannel Left() { return FrameChannel(loop.get_executor(), std::move(left)); }
  FrameChannel Right() { return FrameChannel(loop.get_executor(), std::move(right)); }

  // Runs the loop until the task has answered.
  template <class T>
  T Run(Task<T> task) {
    auto future = asio::co_spawn(loop, std::move(task), asio::use_future);
    loop.restart();
    loop.run();
    return future.get();
  }
};

TEST(FrameChannel, CarriesFramesOfAllSizes) {
  Pair pair;
  auto left = pair.Left();
  auto right = pair.Right();
  for (std::size_t size : {0u, 1u, 100u, 8'000u, 9'000u, 16'376u, 16'384u, 70'000u, 9'000'000u}) {
    ChannelFrame sent{18, 3, std::string("a\0b", 3), std::string(size, 'p')};
    std::optional<Result<void>> wrote;
    asio::co_spawn(pair.loop, left.Write(sent),
                   [&](std::exception_ptr, Result<void> result) { wrote = std::move(result); });
    auto got = pair.Run(right.Read());
    ASSERT_TRUE(got) << got.error().message;
    EXPECT_TRUE(wrote && *wrote);
    EXPECT_EQ(got->type, 18);
    EXPECT_EQ(got->flags, 3);
    EXPECT_EQ(got->meta, sent.meta);
    EXPECT_TRUE(got->payload == sent.payload) << size;
  }
}

TEST(FrameChannel, WritesTheBytesOfTheFormat) {
  Pair pair;
  auto left = pair.Left();
  ASSERT_TRUE(pair.Run(left.Write({1, 0, "id", "xyz"})));
  char bytes[64];
  ssize_t n = ::read(pair.right.Get(), bytes, sizeof bytes);
  EXPECT_EQ(std::string(bytes, static_cast<std::size_t>(n)),
            std::string("\x09\0\0\0\x01\0\x02\0idxyz", 13));
}

TEST(FrameChannel, SendsSeveralFramesAtOnce) {
  Pair pair;
  auto left = pair.Left();
  auto right = pair.Right();
  std::string bytes;
  ASSERT_TRUE(left.Append(bytes, {1, 2, "first", ""}, "payload"));
  ASSERT_TRUE(left.Append(bytes, {3, 0, "", ""}, ""));
  ASSERT_FALSE(left.Append(bytes, {3, 0, std::string(70'000, 'm'), ""}, ""));
  auto sent = pair.Run(left.Send(bytes));
  EXPECT_TRUE(sent.all);
  EXPECT_EQ(sent.size, 8u + 5u + 7u + 8u);
  EXPECT_FALSE(right.TakeWhole());
  auto first = pair.Run(right.Read());
  ASSERT_TRUE(first);
  EXPECT_EQ(first->meta, "first");
  EXPECT_EQ(first->payload, "payload");
  auto second = right.TakeWhole();
  ASSERT_TRUE(second && *second);
  EXPECT_EQ((*second)->type, 3);
  EXPECT_FALSE(right.TakeWhole());
}

TEST(FrameChannel, TakesSeveralFramesFromOneReceive) {
  Pair pair;
  auto right = pair.Right();
  std::string bytes("\x05\0\0\0\x10\0\x01\0m\x04\0\0\0\x15\0\0\0\x06\0\0\0\x16\0\0\0", 25);
  bytes += "zz\x07";
  ASSERT_EQ(::write(pair.left.Get(), bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
  auto first = pair.Run(right.Read());
  ASSERT_TRUE(first);
  EXPECT_EQ(first->meta, "m");
  auto second = pair.Run(right.Read());
  ASSERT_TRUE(second);
  EXPECT_EQ(second->type, 0x15);
  auto third = pair.Run(right.Read());
  ASSERT_TRUE(third) << third.error().message;
  EXPECT_EQ(third->payload.size(), 2u);
}

struct BadFrame {
  const char* name;
  std::string bytes;
  Code code;
};
class FrameChannelBad : public testing::TestWithParam<BadFrame> {};

TEST_P(FrameChannelBad, RefusesFramesThatTheFormatDoesNotAllow) {
  Pair pair;
  auto right = pair.Right();
  auto& bytes = GetParam().bytes;
  ASSERT_EQ(::write(pair.left.Get(), bytes.data(), bytes.size()),
            static_cast<ssize_t>(bytes.size()));
  pair.left = Fd();
  auto got = pair.Run(right.Read());
  ASSERT_FALSE(got);
  EXPECT_EQ(got.error().code, GetParam().code);
}

INSTANTIATE_TEST_SUITE_P(
    All, FrameChannelBad,
    testing::Values(
        BadFrame{"LengthBelowTheHead", std::string("\x03\0\0\0\x01\0\0\0", 8), Code::kInvalid},
        BadFrame{"MetaLongerThanTheFrame", std::string("\x05\0\0\0\x01\0\x02\0a", 9),
                 Code::kInvalid},
        BadFrame{"LongerThan256MiB", std::string("\x01\0\0\x10\x01\0\0\0", 8), Code::kTooLarge},
        BadFrame{"CutInTheHead", std::string("\x05\0\0", 3), Code::kUnavailable},
        BadFrame{"CutInThePayload", std::string("\xff\xff\0\0\x01\0\0\0abc", 11),
                 Code::kUnavailable},
        BadFrame{"NothingAtAll", "", Code::kUnavailable}),
    [](auto& info) { return info.param.name; });

TEST(FrameChannel, CloseWakesTheReader) {
  Pair pair;
  auto right = pair.Right();
  asio::post(pair.loop, [&] { right.Close(); });
  auto got = pair.Run(right.Read());
  ASSERT_FALSE(got);
  EXPECT_FALSE(pair.Run(right.Write({1, 0, "", ""})));
}

TEST(FrameChannel, WritingToAClosedPeerIsAnError) {
  Pair pair;
  auto left = pair.Left();
  pair.right = Fd();
  auto wrote = pair.Run(left.Write({1, 0, "", "x"}));
  ASSERT_FALSE(wrote);
  EXPECT_EQ(wrote.error().code, Code::kUnavailable);
}

TEST(FrameChannel, BoundsWhatComesAndNotWhatIsSent) {
  Pair pair;
  FrameChannel left(pair.loop.get_executor(), std::move(pair.left), {100});
  auto right = pair.Right();
  ASSERT_TRUE(pair.Run(left.Write({1, 0, "", std::string(1000, 'x')})));
  const auto came = pair.Run(right.Read());
  ASSERT_TRUE(came);
  EXPECT_EQ(came->payload.size(), 1000U);
  std::string bytes;
  EXPECT_TRUE(left.Append(bytes, {1, 0, "", ""}, std::string(1000, 'x')));
  ASSERT_TRUE(pair.Run(right.Write({1, 0, "", std::string(1000, 'x')})));
  const auto refused = pair.Run(left.Read());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().code, Code::kTooLarge);
}

TEST(FrameChannel, RefusesAMetaThatHasNoRoom) {
  Pair pair;
  auto left = pair.Left();
  auto wrote = pair.Run(left.Write({1, 0, std::string(65'536, 'm'), ""}));
  ASSERT_FALSE(wrote);
  EXPECT_EQ(wrote.error().code, Code::kTooLarge);
}

}  // namespace
}  // namespace samovar
