#include "instances/log_capture.h"

#include <fcntl.h>
#include <unistd.h>

#include "instances/loop_test.h"

namespace samovar {
namespace {

class LogCaptureTest : public LoopTest {
 protected:
  LogCaptureTest() : store_(Loop(), pool_, {.directory = Directory()}) {
    int ends[2];
    CHECK(::pipe2(ends, O_CLOEXEC | O_NONBLOCK) == 0);
    write_end_ = Fd(ends[1]);
    capture_ = std::make_unique<LogCapture>(Loop(), clock_, Fd(ends[0]), store_.Open("f", "s", "1"),
                                            allowance_);
  }
  // Writes until the pipe is full; how much it took.
  std::size_t Flood() {
    std::string text(4096, '\n');
    std::size_t total = 0;
    for (ssize_t n; (n = ::write(write_end_.Get(), text.data(), text.size())) > 0;) {
      total += static_cast<std::size_t>(n);
    }
    return total;
  }
  void Print(std::string_view text) {
    CHECK(::write(write_end_.Get(), text.data(), text.size()) == static_cast<ssize_t>(text.size()));
  }
  Task<std::vector<std::string>> Lines() {
    auto lines = co_await store_.Read("f", {});
    CHECK(lines.has_value());
    std::vector<std::string> list;
    for (auto& line : *lines) list.push_back(line.message);
    co_return list;
  }

  std::int64_t allowance_ = 1 << 20;
  LogStore store_;
  Fd write_end_;
  std::unique_ptr<LogCapture> capture_;
};

using Strings = std::vector<std::string>;

TEST_F(LogCaptureTest, ReadsLinesAsTheyComeAndWaitsForTheirEnds) {
  Run([&]() -> Task<void> {
    auto done = Beside([&]() -> Task<bool> {
      co_await capture_->Run();
      co_return true;
    }());
    Print("one\ntw");
    co_await Turns(20);
    EXPECT_EQ(co_await Lines(), Strings{"one"});
    Print("o\n");
    co_await Turns(20);
    EXPECT_EQ(co_await Lines(), (Strings{"one", "two"}));
    write_end_ = Fd();
    EXPECT_TRUE(co_await Until([&] { return done->has_value(); }));
  });
}

TEST_F(LogCaptureTest, LetsAFloodWaitInThePipeUntilTheNextTurn) {
  Run([&]() -> Task<void> {
    auto done = Beside([&]() -> Task<bool> {
      co_await capture_->Run();
      co_return true;
    }());
    std::size_t taken = 0;
    for (int i = 0; i < 50; ++i) {
      taken += Flood();
      co_await Turns(20);
    }
    // Every byte is a line here, and costs 65.
    std::size_t bound = (64u << 10) + (32u << 10) + LogCapture::kAllowance / 65;
    EXPECT_LE(taken, bound);
    co_await Turns(20);
    EXPECT_EQ(Flood(), 0u);
    allowance_ = 1 << 20;
    capture_->Refill();
    co_await Turns(20);
    EXPECT_GT(Flood(), 0u);
    capture_->Close();
    EXPECT_TRUE(co_await Until([&] { return done->has_value(); }));
  });
}

TEST_F(LogCaptureTest, StopsForTheAllowanceThatAllShare) {
  Run([&]() -> Task<void> {
    auto done = Beside([&]() -> Task<bool> {
      co_await capture_->Run();
      co_return true;
    }());
    allowance_ = 1;  // others used it up
    Print("a\n");
    co_await Turns(20);
    Print("b\n");
    co_await Turns(20);
    EXPECT_EQ(co_await Lines(), Strings{"a"});
    allowance_ = 1 << 20;
    capture_->Refill();
    co_await Turns(20);
    EXPECT_EQ(co_await Lines(), (Strings{"a", "b"}));
    capture_->Close();
    EXPECT_TRUE(co_await Until([&] { return done->has_value(); }));
  });
}

TEST_F(LogCaptureTest, ReadsALittleEachTurnWhileOthersUseUpWhatAllShare) {
  Run([&]() -> Task<void> {
    auto done = Beside([&]() -> Task<bool> {
      co_await capture_->Run();
      co_return true;
    }());
    for (int turn = 0; turn < 5; ++turn) {
      capture_->Refill();
      allowance_ = 0;  // others were faster
      Print("a\n");
      co_await Turns(20);
      EXPECT_EQ((co_await Lines()).size(), static_cast<std::size_t>(turn) + 1);
    }
    capture_->Close();
    EXPECT_TRUE(co_await Until([&] { return done->has_value(); }));
  });
}

TEST_F(LogCaptureTest, CutsALineWithoutAnEnd) {
  Run([&]() -> Task<void> {
    for (int i = 0; i < 40; ++i) {
      Print(std::string(4096, 'x'));
      if (i % 8 == 7) capture_->Drain();
    }
    auto lines = co_await Lines();
    std::size_t total = 0;
    for (const auto& line : lines) total += line.size();
    EXPECT_EQ(total, 40u * 4096);
    EXPECT_EQ(lines.size(), 5u);  // each drain ends one
  });
}

TEST_F(LogCaptureTest, KeepsTheTailOfACallOnly) {
  capture_->BeginCall(true);
  Print("in the call\n");
  capture_->Drain();
  capture_->Print("END");
  EXPECT_EQ(capture_->TakeTail(), "in the call\nEND\n");
  Print("after it\n");
  capture_->Drain();
  capture_->BeginCall(true);
  EXPECT_EQ(capture_->TakeTail(), "");
  capture_->BeginCall(false);
  capture_->Print("unasked");
  EXPECT_EQ(capture_->TakeTail(), "");
}

}  // namespace
}  // namespace samovar
