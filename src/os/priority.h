#pragma once
// Priority: how a thread shares the processors with the others.

namespace samovar {

// The calling thread, and those that it starts from now on, run where nobody else wants to. Without
// the right to it they run as before.
void RunWhenIdle();

// The calling thread, and those that it starts from now on, run as soon as they wake, before
// threads that have long work: for those that mostly wait, and whom others wait for. It gets no
// more of a processor than before. (Linux from 6.12 on; before that nothing changes.)
void RunPromptly();

}  // namespace samovar
