// The way of one clone from its fork to its first line of user code; docs/clones.md has the
// picture.
//
// How      F, the child of a fork(), moves itself into new namespaces. The new pid namespace counts
//          from its next child on, so F makes I, process 1 there, which makes P, the clone; F ends.
//          All three share one memory, so no page table is copied twice; P goes on on F's stack,
//          with F's thread descriptor. I only reaps: P is never process 1, so signals, abort() and
//          orphans are as ever.
// Why not  a raw clone3 with all flags: fork's handlers would not run, and BLAS hangs in the child.
// Threads  F has one thread. I must not touch what belongs to P: no libc, no errno, all signals
//          blocked.
#include <errno.h>
#include <fcntl.h>
#include <linux/rseq.h>
#include <linux/sched.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "samovar_clone.h"

enum {
  kNamespaces =
      CLONE_NEWUSER | CLONE_NEWPID | CLONE_NEWIPC | CLONE_NEWNS | CLONE_NEWUTS | CLONE_NEWNET
};
enum { kInternal = 11, kUnavailable = 10, kPatienceMs = 10000 };  // codes of src/base/error.h

static void Give(int setup, int code, const char* what) {
  char text[256];
  int length = snprintf(text, sizeof text, "E%c%s: %s", '0' + code, what, strerror(errno));
  send(setup, text, (size_t)length, MSG_NOSIGNAL);
  _exit(127);
}

#if defined(__x86_64__)

int samovar_clone_supported(void) { return 1; }

// ---- I, the init -------------------------------------------------------------------------------

// What I works with. Its layout is known to the assembly below.
struct Init {
  void* program_stack;  // 0: where P goes on
  void* init_stack;     // 8
  int* tid;             // 16: glibc's own note of the thread's id
  int setup;
};

static struct Init init;
static char init_stack[8192] __attribute__((aligned(64)));

// P's half: returns twice-removed from samovar_switch, on the stack that it saved.
long samovar_start_program(struct Init* init);
long samovar_switch(struct Init* init);
__attribute__((noreturn, used)) void samovar_init_main(struct Init* init);

__asm__(
    ".text\n"
    ".type samovar_switch, @function\n"
    ".hidden samovar_switch\n"
    ".globl samovar_switch\n"
    "samovar_switch:\n"
    "  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15\n"
    "  mov %rdi, %r12\n"
    "  mov %rsp, 0(%r12)\n"
    "  mov $56, %eax\n"     // clone
    "  mov $0x111, %edi\n"  // CLONE_VM | SIGCHLD
    "  mov 8(%r12), %rsi\n"
    "  xor %edx, %edx; xor %r10d, %r10d; xor %r8d, %r8d\n"
    "  syscall\n"
    "  test %rax, %rax\n"
    "  jz 1f\n"
    "  js samovar_resume\n"
    "  mov $60, %eax; xor %edi, %edi\n"  // F: exit, without a look at memory
    "  syscall\n"
    "  hlt\n"
    "1: mov %r12, %rdi\n"
    "  xor %ebp, %ebp\n"
    "  call samovar_init_main\n"
    "  hlt\n"
    "samovar_resume:\n"
    "  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx\n"
    "  ret\n"
    ".size samovar_switch, . - samovar_switch\n"
    ".type samovar_start_program, @function\n"
    ".hidden samovar_start_program\n"
    ".globl samovar_start_program\n"
    "samovar_start_program:\n"
    "  mov $56, %eax\n"
    "  mov 0(%rdi), %rsi\n"
    "  mov 16(%rdi), %r10\n"
    "  mov $0x1200111, %edi\n"  // CLONE_VM | CLONE_CHILD_SETTID | CLONE_CHILD_CLEARTID | SIGCHLD
    "  xor %edx, %edx; xor %r8d, %r8d\n"
    "  syscall\n"
    "  test %rax, %rax\n"
    "  jz samovar_resume\n"
    "  ret\n"
    ".size samovar_start_program, . - samovar_start_program\n");

static inline long Call(long number, long a, long b, long c, long d) {
  register long fourth __asm__("r10") = d;
  register long fifth __asm__("r8") = 0;
  register long sixth __asm__("r9") = 0;
  long answer;
  __asm__ volatile("syscall"
                   : "=a"(answer)
                   : "a"(number), "D"(a), "S"(b), "d"(c), "r"(fourth), "r"(fifth), "r"(sixth)
                   : "rcx", "r11", "memory");
  return answer;
}

static void Say(int setup, const void* bytes, long size) {
  register long flags __asm__("r10") = MSG_NOSIGNAL;
  register long none __asm__("r8") = 0;
  register long length __asm__("r9") = 0;
  long answer;
  __asm__ volatile("syscall"
                   : "=a"(answer)
                   : "a"(SYS_sendto), "D"((long)setup), "S"(bytes), "d"(size), "r"(flags),
                     "r"(none), "r"(length)
                   : "rcx", "r11", "memory");
}

void samovar_init_main(struct Init* in) {
  const int setup = in->setup;
  Call(SYS_setsid, 0, 0, 0, 0);  // a signal to the template's group is not for its clones
  // An ignored SIGCHLD would let P end unseen.
  struct {
    void* handler;
    unsigned long flags;
    void* restorer;
    unsigned long mask;
  } plain = {0, 0, 0, 0};
  Call(SYS_rt_sigaction, SIGCHLD, (long)&plain, 0, 8);
  Say(setup, "I", 1);
  const long program = samovar_start_program(in);
  Call(SYS_close_range, 0, setup - 1, 0, 0);
  Call(SYS_close_range, setup + 1, ~0u, 0, 0);
  struct {
    char kind[1];
    int status;
    int64_t max_rss;
  } __attribute__((packed)) exit_report = {{'X'}, 127 << 8, 0};
  struct rusage used;
  for (;;) {
    int status = 0;
    const long ended =
        program < 0 ? program : Call(SYS_wait4, -1, (long)&status, __WALL, (long)&used);
    if (ended == -EINTR || (ended >= 0 && ended != program)) continue;
    if (ended == program && program >= 0) {
      exit_report.status = status;
      exit_report.max_rss = used.ru_maxrss;
    }
    Say(setup, &exit_report, sizeof exit_report);
    Call(SYS_exit_group, 0, 0, 0, 0);
  }
}

// ---- F, and then P -----------------------------------------------------------------------------

// Where the kernel keeps glibc's thread id up to date; robust and recursive mutexes read it.
static int* TidAddress(void) {
  int* address = NULL;
  if (prctl(PR_GET_TID_ADDRESS, &address, 0, 0, 0) == 0 && address != NULL) return address;
  // A kernel without CONFIG_CHECKPOINT_RESTORE: it is in the thread descriptor, and holds what
  // gettid says.
  const int tid = (int)syscall(SYS_gettid);
  int* word = __builtin_thread_pointer();
  for (int i = 0; i < 512; i++) {
    if (word[i] == tid) return word + i;
  }
  return NULL;
}

extern const ptrdiff_t __rseq_offset __attribute__((weak));
extern const unsigned int __rseq_size __attribute__((weak));

// The kernel forgets these in a child that shares memory; F's own must not fire on P's memory
// either.
struct ThreadState {
  void* robust_list;
  size_t robust_size;
  stack_t signal_stack;
  sigset_t signals;
  int restartable;
};

static void* Restartable(void) { return (char*)__builtin_thread_pointer() + __rseq_offset; }

// 20 bytes of the first version are used, 32 are registered.
enum { kRseqSize = 32, kRseqSignature = 0x53053053 };

static void LayDown(struct ThreadState* state) {
  sigset_t all;
  sigfillset(&all);
  sigprocmask(SIG_SETMASK, &all, &state->signals);
  sigaltstack(NULL, &state->signal_stack);
  state->robust_list = NULL;
  syscall(SYS_get_robust_list, 0, &state->robust_list, &state->robust_size);
  syscall(SYS_set_robust_list, NULL, sizeof(struct {
            void* next;
            long offset;
            void* pending;
          }));
  state->restartable =
      &__rseq_size != NULL && __rseq_size != 0 &&
      syscall(SYS_rseq, Restartable(), kRseqSize, RSEQ_FLAG_UNREGISTER, kRseqSignature) == 0;
  // Else F's end would write 0 to where P's id is.
  syscall(SYS_set_tid_address, NULL);
}

static void TakeUp(const struct ThreadState* state) {
  if (state->robust_list != NULL)
    syscall(SYS_set_robust_list, state->robust_list, state->robust_size);
  if (state->restartable) syscall(SYS_rseq, Restartable(), kRseqSize, 0, kRseqSignature);
  if (!(state->signal_stack.ss_flags & SS_DISABLE)) {
    stack_t again = state->signal_stack;
    again.ss_flags &= ~SS_ONSTACK;
    sigaltstack(&again, NULL);
  }
  sigprocmask(SIG_SETMASK, &state->signals, NULL);
}

static int WriteFile(const char* path, const char* text) {
  const int file = open(path, O_WRONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const ssize_t written = write(file, text, strlen(text));
  close(file);
  return written < 0 ? -1 : 0;
}

static void MakeNamespaces(int setup) {
  char users[64], groups[64];
  snprintf(users, sizeof users, "%d %d 1", (int)getuid(), (int)getuid());
  snprintf(groups, sizeof groups, "%d %d 1", (int)getgid(), (int)getgid());
  if (unshare(kNamespaces) != 0) Give(setup, kUnavailable, "make namespaces for a clone");
  if (WriteFile("/proc/self/setgroups", "deny") != 0) Give(setup, kInternal, "write setgroups");
  if (WriteFile("/proc/self/uid_map", users) != 0) Give(setup, kInternal, "write uid_map");
  if (WriteFile("/proc/self/gid_map", groups) != 0) Give(setup, kInternal, "write gid_map");
}

static int RaiseLoopback(void) {
  const int net = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (net < 0) return -1;
  struct ifreq request;
  memset(&request, 0, sizeof request);
  strcpy(request.ifr_name, "lo");
  request.ifr_flags = IFF_UP;
  const int answer = ioctl(net, SIOCSIFFLAGS, &request);
  const int error = errno;
  close(net);
  errno = error;
  return answer;
}

static void WaitForMounts(int setup) {
  struct pollfd wait = {setup, POLLIN, 0};
  int ready;
  do {
    ready = poll(&wait, 1, kPatienceMs);
  } while (ready < 0 && errno == EINTR);
  char byte = 0;
  if (ready == 1 && recv(setup, &byte, 1, 0) == 1 && byte == 'G') return;
  if (ready == 0) errno = ETIMEDOUT;
  if (ready == 1) errno = ECONNRESET;
  Give(setup, kUnavailable, "wait for a clone's mounts");
}

void samovar_clone_enter(int setup) {
  struct ThreadState state;
  init.setup = setup;
  init.tid = TidAddress();
  init.init_stack = init_stack + sizeof init_stack;
  if (init.tid == NULL) {
    errno = ENOSYS;
    Give(setup, kInternal, "find the thread's id");
  }
  MakeNamespaces(setup);
  if (RaiseLoopback() != 0) Give(setup, kInternal, "raise loopback");
  // Now, for I too, whose memory is the function's to write.
  if (samovar_drop_capabilities() != 0) Give(setup, kInternal, "drop capabilities");
  if (samovar_clone_confine() != 0) Give(setup, kInternal, "install the filter");
  LayDown(&state);
  const long failed = samovar_switch(&init);
  if (failed != 0) {
    errno = (int)-failed;
    Give(setup, kUnavailable, "make a clone's init");
  }
  TakeUp(&state);
  setsid();
  if (send(setup, "P", 1, MSG_NOSIGNAL) != 1) _exit(127);
  WaitForMounts(setup);
  close(setup);
}

#else

int samovar_clone_supported(void) { return 0; }

void samovar_clone_enter(int setup) {
  errno = ENOSYS;
  Give(setup, kInternal, "clones are made on x86-64 only");
}

#endif

// 1 and 2 are the log, 3 the channel, 4 is closed, `setup` is above.
static int Place(int* setup, int log, int channel) {
  *setup = fcntl(*setup, F_DUPFD_CLOEXEC, 10);
  log = fcntl(log, F_DUPFD_CLOEXEC, 10);
  if (channel >= 0) channel = fcntl(channel, F_DUPFD_CLOEXEC, 10);
  if (*setup < 0 || log < 0 || dup2(log, 1) < 0 || dup2(log, 2) < 0) return -1;
  if (channel >= 0 && dup3(channel, 3, O_CLOEXEC) < 0) return -1;
  close(log);
  if (channel >= 0) close(channel);
  close(SAMOVAR_CONTROL_FD);
  return 0;
}

// The order for the next fork(). The child becomes a clone in the first of fork's handlers, since
// those of other libraries may start threads (pypocketfft's does), and a process with threads
// cannot leave its user namespace. They run in P then, where they see its process id.
static struct {
  int wanted, setup, log, channel;
} order;

static void BecomeClone(void) {
  if (!order.wanted) return;
  order.wanted = 0;
  int setup = order.setup;
  if (Place(&setup, order.log, order.channel) != 0)
    Give(order.setup, kInternal, "place descriptors");
  const int given[] = {order.setup, order.log, order.channel};
  for (int i = 0; i < 3; i++) {
    if (given[i] > SAMOVAR_CONTROL_FD) close(given[i]);
  }
  samovar_clone_enter(setup);
}

// Handlers run in the order in which they were set: a library that was loaded before this one is
// first.
__attribute__((constructor)) static void SetHandler(void) {
  pthread_atfork(NULL, NULL, BecomeClone);
}

pid_t samovar_clone_fork(int setup, int log, int channel) {
  order.setup = setup;
  order.log = log;
  order.channel = channel;
  order.wanted = 1;
  samovar_pages_mark();
  const pid_t child = fork();
  if (child == 0) BecomeClone();  // where there was no room for the handler
  order.wanted = 0;
  return child;
}
