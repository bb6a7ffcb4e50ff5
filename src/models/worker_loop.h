#pragma once
// WorkerLoop: the model worker's conversation with the server: takes INVOKEs, runs them in batches,
// answers.
//
// How      One thread does all: it takes every request that waits in the channel, runs one batch,
//          sends the answers, and looks again; so the next batch is what came meanwhile. With a
//          `max_delay`, the first of a batch waits that long for company.
// Errors   A request that cannot be answered gets an ERROR frame and no other notices. Run answers
//          the end of the channel or of the protocol.
// Threads  One. A timer's signal ends a run whose deadline passed.
// Source   docs/formats/channel.md, version 2.

#include <chrono>
#include <deque>
#include <functional>
#include <string>
#include <vector>

#include "base/error.h"
#include "models/frame_socket.h"
#include "models/model_package.h"
#include "models/run_timer.h"

namespace samovar {

class WorkerLoop {
 public:
  // `answered` is called once, after the first answer was sent.
  WorkerLoop(FrameSocket& socket, ModelPackage& package, std::function<void()> answered = {});

  // Until SHUTDOWN (nothing) or the end of the channel.
  Result<void> Run();

 private:
  struct Pending {
    std::string request_id;
    std::chrono::steady_clock::time_point deadline;
    std::chrono::steady_clock::time_point arrived;
    ModelCall call;
  };

  Result<void> TakeFrames();
  void Take(const FrameView& invoke);
  void RunBatch();
  void Answer(const std::string& request_id, const ModelCall& call, Batcher::Outcome outcome);
  void AnswerError(const std::string& request_id, const Error& error);
  std::optional<std::chrono::microseconds> Patience() const;

  FrameSocket& socket_;
  ModelPackage& package_;
  RunTimer timer_;
  std::function<void()> answered_;
  std::deque<Pending> pending_;
  bool ending_ = false;
};

// {"errorType": ..., "errorMessage": ...}
std::string ErrorJson(const Error& error);
std::string_view ErrorType(const Error& error);

}  // namespace samovar
