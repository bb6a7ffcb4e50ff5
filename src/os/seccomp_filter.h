#pragma once
// SeccompFilter: which system calls a sandbox may make.
//
// How      An allow-list, compiled once by libseccomp. Known and refused calls answer EPERM,
// unknown
//          and new ones ENOSYS (programs fall back), clone3 ENOSYS too, as a filter cannot see its
//          flags and glibc falls back to clone, whose flags it can. Calls that no program makes by
//          chance (loading a kernel, modules, swap, I/O ports) end the process.
// Errors   kInternal: libseccomp could not build it.
// Threads  Build() once; Install() is for the calling thread, after no_new_privs.

#include <linux/filter.h>

#include <vector>

#include "base/error.h"

namespace samovar {

class SeccompFilter {
 public:
  static Result<SeccompFilter> Build();
  Result<void> Install() const;

 private:
  std::vector<sock_filter> program_;
};

}  // namespace samovar
