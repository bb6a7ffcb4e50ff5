#pragma once
// RunTimer: ends a model's run at its deadline.
//
// Why      One run holds up all requests of its worker, and a worker that does not answer in time
//          is killed with all of them. A second thread to watch would keep the worker from being
//          cloned.
// How      A process timer's signal. It is armed for the earliest deadline and left alone as long
//          as that has not passed, so most runs cost no system call.
// Threads  One instance in a process.

#include <chrono>

#include "models/onnx_model.h"

namespace samovar {

class RunTimer {
 public:
  explicit RunTimer(OnnxModel& model);
  ~RunTimer();
  RunTimer(const RunTimer&) = delete;

  void Begin(std::chrono::steady_clock::time_point deadline);
  void End();
};

}  // namespace samovar
