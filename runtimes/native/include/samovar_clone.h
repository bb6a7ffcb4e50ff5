#pragma once
// libsamovar_clone: makes a program that has initialised into a template, of which clones are made.
//
// Why      A fresh start pays for imports, models and tables again; a clone shares them until it
//          writes.
// How      A program that speaks the channel of docs/formats/channel.md at descriptor 3 calls
//          samovar_template_ready() where it would say READY. It says so, and returns at once in a
//          process that nobody wants to clone, and once in every clone otherwise; the template
//          itself stays inside. A clone has namespaces of its own (user, pid, ipc, mount, uts,
//          network), its own /tmp, and the memory as it was. What it must not share with other
//          clones the program makes anew after the call: random state, open files, caches of the
//          time. The other functions are the steps, for runtimes that do more between them.
// Errors   -1 and errno, unless said otherwise.
// Threads  Only for the main thread. What threads the process may have is in docs/clones.md.
// Needs    Linux 5.14, x86-64, glibc. Elsewhere samovar_clone_supported() says 0.

#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SAMOVAR_CONTROL_FD 4  // on which the template is asked for clones

// 1 where this library knows how to clone on this machine, else 0.
int samovar_clone_supported(void);

// Says READY as `runtime` ("forecast 1.2"), and waits until this process has been cloned. 1 in a
// clone, whose environment has been set as asked and which is READY; 0 where this process is to
// answer events itself: nobody wants clones of it, it cannot be cloned (the server knows why), or
// an event has come.
int samovar_template_ready(const char* runtime);

// The same, for a program that has more to say.
struct samovar_template {
  const char* runtime;
  int calls;            // that it takes at a time (docs/formats/channel.md); below 2: one
  const char* problem;  // why it must not be cloned, and what would help; NULL: nothing that the
  const char* remedy;   // library does not see by itself
};
int samovar_template_ready_with(const struct samovar_template* about);

// What a language's runtime has to do around the forks of samovar_template_wait(). NULL: nothing.
struct samovar_host {
  void (*before_fork)(void);
  void (*in_parent)(void);
  void (*in_child)(void);
  int (*interrupted)(void);  // after a signal; not 0: the wait ends
};

// For runtimes that have said READY and TEMPLATE themselves: makes clones as they are asked for.
// 1 in each clone, which has its pages but not yet its environment: NAME=value, NULL at the end, in
// memory of the library's. 0 where an event, or the end, has come on the channel; -1 where
// `interrupted` said so. A runtime with a heap of its own should not touch it between two clones:
// where each finds the same heap it writes to the same pages, and has them before its first event.
int samovar_template_wait(const struct samovar_host* host, char*** environment);

// In a clone, after its first answer: the first of a template's clones leaves word of what that
// answer took, so that later ones have it before their first event. Elsewhere it does nothing.
void samovar_template_answered(void);

// ---- steps of one clone ------------------------------------------------------------------------

// For the child of a fork(): leaves for new namespaces, with an init process of its own, tells who
// it is over the socket `setup`, waits until its mounts and its cgroup are there, and gives up what
// it may not keep. Returns in the clone only: after an error it says so over `setup`, and ends.
// Closes `setup`.
void samovar_clone_enter(int setup);

// fork() and the above. `log` becomes descriptors 1 and 2, `channel` (-1: none) descriptor 3. In
// the template: the pid of the child in between, which is to be waited for and ends at once; in the
// clone 0.
pid_t samovar_clone_fork(int setup, int log, int channel);

// Takes from this process for ever what only templates may do. A clone has done so.
int samovar_clone_confine(void);

// ---- pages -------------------------------------------------------------------------------------

// Makes one 2 MiB range of private memory, at `cursor` or after, into a huge page, where at least
// half of it is in memory. Answers where to go on, 0 at the end. Copying page tables costs a fork
// 30 times less then.
uintptr_t samovar_pages_collapse(uintptr_t cursor);

// Makes the small table, shared with all later clones, in which one clone leaves what it has
// written.
int samovar_pages_share(void);
// In the template, before each fork: from here on the clone's pages are told from the template's.
// samovar_clone_fork() does so.
void samovar_pages_mark(void);
// In a clone: 1 if nobody else has told since this clone took its pages or told itself, and few
// have, so that this clone should tell after an answer.
int samovar_pages_wanted(void);
// In a clone: writes down which pages it alone has, and which of files it has mapped (a fork maps
// none of them). The number of pages; 0 where that cannot be told, as the template was collapsing
// its memory: a later clone does it then.
long samovar_pages_record(void);
// In a clone: takes copies of the written pages in the table now, and maps those of files. The
// number of pages. Not the first fault of each but one call for all: that is cheaper, and before
// the first event.
long samovar_pages_touch(void);
// In a clone: lets go of the table.
void samovar_pages_leave(void);
// The table's addresses, 0 and 0 where there is none: a shared mapping that is ours.
void samovar_pages_table(uintptr_t* begin, uintptr_t* end);

// ---- threads -----------------------------------------------------------------------------------

struct samovar_thread {
  pid_t tid;
  char name[16];
  char library[256];  // the file of the library whose code it runs; "" where that cannot be told
};

// The threads of this process but the calling one, at most `most`; the number of all.
int samovar_threads(struct samovar_thread* found, int most);

// Ends the threads that GNU OpenMP keeps for this thread; they start again when next used. The
// number of its copies in this process that do not know how to (before GCC 9), 0 when all is well.
// Their names go to `left`, separated by newlines.
int samovar_threads_pause_openmp(char* left, size_t size);

#ifdef __cplusplus
}
#endif
