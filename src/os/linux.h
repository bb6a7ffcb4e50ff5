#pragma once
// Linux calls that glibc does not wrap, or wraps with too little: clone3, the mount calls by
// descriptor, signals by pidfd; and small reads and writes of kernel files.
//
// Errors   As the calls themselves: -1 and errno, where an int is returned; Result elsewhere.
// Threads  Safe.

#include <sys/types.h>

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "base/error.h"
#include "os/fd.h"

namespace samovar {

// fork() with namespaces: 0 in the child, its pid in the parent, which gets `*pidfd` too. No
// pthread_atfork handlers run, so only for single-threaded processes.
pid_t CloneProcess(std::uint64_t flags, int* pidfd);
int PidfdSendSignal(int pidfd, int signal);
Fd PidfdOpen(pid_t pid);
bool PidfdEnded(int pidfd);
// Wait status of an ended process, told even after it was reaped (Linux 6.15); else nothing.
std::optional<int> PidfdExitStatus(int pidfd);

// A detached copy of the mount at `path`, with what is mounted below it where `below` says so.
int OpenTreeClone(const char* path, bool below = false);
// A new /proc of the pid namespace `space` (a descriptor), attached nowhere. ENOTSUP or EINVAL
// before Linux 6.18, where only a member of the namespace can make one (`space` -1: the caller's).
Fd DetachedProc(int space);
int MoveMount(int tree, const char* target);
// Read-only (unless `writable`), nosuid, nodev, private.
int SealMount(int tree, bool writable = false);
int PivotRoot(const char* new_root, const char* put_old);
int CloseRange(unsigned first, unsigned last, unsigned flags);

// The same open file at a descriptor of at least `lowest`, close-on-exec; `fd` stays open.
int DuplicateAbove(int fd, int lowest);

Result<std::string> ReadSmallFile(const std::string& path);
Result<std::string> ReadSmallFileAt(int dir, const char* name);
Result<void> WriteSmallFile(const std::string& path, std::string_view text);
Result<void> WriteSmallFileAt(int dir, const char* name, std::string_view text);

// The decimal number that follows the line head `key` (say "total_rss "), or 0.
std::uint64_t NumberAfter(std::string_view text, std::string_view key);

}  // namespace samovar
