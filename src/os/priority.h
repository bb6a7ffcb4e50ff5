#pragma once
// Priority: how a thread shares the processors with the others.

#include <chrono>
#include <thread>

namespace samovar {

// The calling thread, and those that it starts from now on, run where nobody else wants to. Without
// the right to it they run as before.
void RunWhenIdle();

// The calling thread, and those that it starts from now on, run as soon as they wake, before
// threads that have long work: for those that mostly wait, and whom others wait for. It gets no
// more of a processor than before. (Linux from 6.12 on; before that nothing changes.)
void RunPromptly();

// The calling thread, and those that it starts from now on, take turns with the others of this
// process, short ones: for long work that has to be done soon, by a thread that has a Turn. Without
// that it is as any other thread, and keeps others waiting until the next tick of the kernel, 4 ms
// perhaps. It gets no less of a processor than before, where more threads are busy than there are.
void RunInTurns();

// As RunInTurns, with half of the weight of other threads: for work that was put off for others
// too long. Where all processors are busy it gets a third of one.
void RunAtAShare();

// For how long it has had a processor. REQUIRES: it was not joined.
std::chrono::nanoseconds ProcessorTime(std::thread& thread);

// Turn: long work lets others have the processor ten thousand times a second, if they want it.
//
// How      Work of RunWhenIdle keeps nobody from its own processor. But while it is there the
//          kernel does not take that processor for free, and whoever waits for another one stays
//          there until the next tick. So where more threads could run than there are processors it
//          rests for a moment, two thousand times a second: then the kernel looks for who waits.
// Threads  One a thread, which makes it.
class Turn {
 public:
  Turn();
  // Often, at best some times in a turn.
  void Check() {
    const auto now = std::chrono::steady_clock::now();
    if (now - began_ >= length_) Next();
  }

 private:
  void Next();
  bool when_idle_;
  std::chrono::microseconds length_;
  std::chrono::steady_clock::time_point began_ = std::chrono::steady_clock::now();
};

}  // namespace samovar
