#pragma once
// NetworkGuard: a seccomp program that keeps the kernel's network administration from processes
// that have CAP_NET_ADMIN over a network namespace of their own (templates; seccomp_filter.h).
//
// How      EPERM for: netlink sockets (traffic control, routing, devices), the socket options of
//          packet filters and of IPsec, TCP's repair mode, and the ioctls of network devices but
//          those that only tell, and SIOCSIFFLAGS, by which a clone raises its loopback. All of
//          these are refused for want of that capability where there is none, but netlink's
//          questions, which ordinary sandboxes may ask.
// Why      These are where unprivileged user namespaces have let people into the kernel.
// Units    Arguments that the kernel takes as int are compared as their low 32 bits.

#include <linux/filter.h>

#include <vector>

namespace samovar {

std::vector<sock_filter> NetworkGuard();

}  // namespace samovar
