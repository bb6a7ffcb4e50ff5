#pragma once
// SeccompFilter: which system calls a sandbox may make.
//
// How      An allow-list, compiled once by libseccomp. Known and refused calls answer EPERM,
//          unknown and new ones ENOSYS (programs fall back), clone3 ENOSYS too, as a filter cannot
//          see its flags and glibc falls back to clone, whose flags it can. Calls that no program
//          makes by chance (loading a kernel, modules, swap, I/O ports) end the process.
//          BuildForTemplates(): what clones itself may make exactly the namespaces of a clone. In a
//          user namespace of one's own one has every capability over what belongs to it, so a
//          second program closes what would then open: the kernel's traffic control and routing
//          (netlink), packet filters (setsockopt), devices of the network (ioctl).
// Errors   kInternal: libseccomp could not build it.
// Threads  Build() once; Install() is for the calling thread, after no_new_privs.

#include <linux/filter.h>

#include <vector>

#include "base/error.h"

namespace samovar {

class SeccompFilter {
 public:
  static Result<SeccompFilter> Build();
  static Result<SeccompFilter> BuildForTemplates();
  Result<void> Install() const;

 private:
  std::vector<std::vector<sock_filter>> programs_;  // the kernel takes the strictest answer
};

// The one set of flags with which a template may call unshare.
extern const unsigned long kCloneNamespaces;

}  // namespace samovar
