#pragma once
// Priority: how a thread shares the processors with the others.

namespace samovar {

// The calling thread, and those that it starts from now on, run where nobody else wants to. Without
// the right to it they run as before.
void RunWhenIdle();

}  // namespace samovar
