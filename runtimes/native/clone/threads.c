// Whose threads these are.
//
// Why      fork() copies the calling thread only. Some libraries know that (OpenBLAS, GNU and LLVM
//          OpenMP) and start their threads again, others hang: a user wants to know which.
// How      A waiting thread's stack pointer is in /proc/self/task/TID/syscall. From there up to the
//          thread's descriptor lie the return addresses of its frames; the innermost that leads
//          into neither libc nor the C++ library names the owner. A busy one has no stack pointer
//          to be read: it is looked at again for a while.
// Limits   Stale words on a stack can name a library that has since returned; glibc's descriptor is
//          known by its pointers to itself.
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <link.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "maps.h"
#include "samovar_clone.h"

enum { kDepth = 32768, kTries = 30 };  // 256 KiB of stack; 30 looks 10 ms apart

static const char* Base(const char* path) {
  const char* slash = strrchr(path, '/');
  return slash != NULL ? slash + 1 : path;
}

static int Starts(const char* text, const char* with) {
  return strncmp(text, with, strlen(with)) == 0;
}

// Through these every thread runs.
static int Common(const char* path) {
  const char* name = Base(path);
  return Starts(name, "libc.") || Starts(name, "libc-") || Starts(name, "libpthread") ||
         Starts(name, "ld-linux") || Starts(name, "libstdc++") || Starts(name, "libgcc_s") ||
         Starts(name, "libc++") || Starts(name, "_samovar_native") || path[0] == '[';
}

// ---- the code of this process ------------------------------------------------------------------

struct Code {
  uintptr_t begin, end;
  char path[256];
};

struct Codes {
  int count;
  struct Code* list;
};

static struct Codes ReadCodes(void) {
  struct Codes codes = {0, NULL};
  struct Maps maps;
  struct Mapping mapping;
  int room = 0;
  if (samovar_maps_open(&maps) != 0) return codes;
  while (samovar_maps_next(&maps, &mapping)) {
    if (mapping.permissions[2] != 'x' || mapping.path[0] == 0) continue;
    if (codes.count == room) {
      struct Code* more = realloc(codes.list, (size_t)(room = room * 2 + 64) * sizeof *more);
      if (more == NULL) break;
      codes.list = more;
    }
    struct Code* code = &codes.list[codes.count++];
    code->begin = mapping.begin;
    code->end = mapping.end;
    snprintf(code->path, sizeof code->path, "%.255s", mapping.path);
  }
  samovar_maps_close(&maps);
  return codes;
}

static const struct Code* CodeAt(const struct Codes* codes, uintptr_t address) {
  int low = 0, high = codes->count;  // the kernel writes them in order
  while (low < high) {
    const int middle = (low + high) / 2;
    if (address >= codes->list[middle].end)
      low = middle + 1;
    else
      high = middle;
  }
  return low < codes->count && address >= codes->list[low].begin ? &codes->list[low] : NULL;
}

// ---- one thread --------------------------------------------------------------------------------

static int ReadText(const char* path, char* text, size_t size) {
  const int file = open(path, O_RDONLY | O_CLOEXEC);
  if (file < 0) return -1;
  const ssize_t got = read(file, text, size - 1);
  close(file);
  if (got < 0) return -1;
  text[got] = 0;
  return 0;
}

// The stack pointer of a thread that waits; 0 while it runs.
static uintptr_t StackPointer(pid_t tid) {
  char path[64], text[256];
  snprintf(path, sizeof path, "/proc/self/task/%d/syscall", (int)tid);
  if (ReadText(path, text, sizeof text) != 0) return 0;
  uintptr_t stack = 0;
  // "NR ARG*6 SP PC", or "-1 SP PC" outside a system call
  if (sscanf(text, "%*d 0x%*x 0x%*x 0x%*x 0x%*x 0x%*x 0x%*x 0x%lx", &stack) == 1) return stack;
  return sscanf(text, "-1 0x%lx", &stack) == 1 ? stack : 0;
}

// Reads through /proc/self/mem, which answers an error where a thread's stack is gone by now.
static size_t ReadStack(uintptr_t from, uintptr_t* words, size_t most) {
  const int memory = open("/proc/self/mem", O_RDONLY | O_CLOEXEC);
  if (memory < 0) return 0;
  size_t have = 0;
  while (have < most) {
    const size_t page = 4096 - (from + have * 8) % 4096;
    const size_t want = page < (most - have) * 8 ? page : (most - have) * 8;
    const ssize_t got = pread(memory, words + have, want, (off_t)(from + have * 8));
    if (got < 8) break;
    have += (size_t)got / 8;
  }
  close(memory);
  return have;
}

static const char* Owner(const struct Codes* codes, uintptr_t stack, uintptr_t* words) {
  stack &= ~(uintptr_t)7;
  const size_t count = ReadStack(stack, words, kDepth);
  for (size_t i = 0; i < count; i++) {
    const uintptr_t here = stack + i * 8;
    if (words[i] == here && i + 2 < count && words[i + 2] == here) break;  // the descriptor
    const struct Code* code = CodeAt(codes, words[i]);
    if (code != NULL && !Common(code->path)) return code->path;
  }
  return "";
}

static int List(struct samovar_thread* found, int most) {
  int count = 0;
  const pid_t own = gettid();
  DIR* tasks = opendir("/proc/self/task");
  if (tasks == NULL) return -1;
  for (struct dirent* entry; (entry = readdir(tasks)) != NULL;) {
    const pid_t tid = (pid_t)atoi(entry->d_name);
    if (tid <= 0 || tid == own) continue;
    if (count < most) {
      struct samovar_thread* thread = &found[count];
      memset(thread, 0, sizeof *thread);
      thread->tid = tid;
      char path[64];
      snprintf(path, sizeof path, "/proc/self/task/%d/comm", (int)tid);
      if (ReadText(path, thread->name, sizeof thread->name) != 0) continue;  // it has just ended
      thread->name[strcspn(thread->name, "\n")] = 0;
    }
    count++;
  }
  closedir(tasks);
  return count;
}

int samovar_threads(struct samovar_thread* found, int most) {
  const int all = List(found, most);
  if (all <= 0) return all;
  struct Codes codes = ReadCodes();
  uintptr_t* words = malloc(kDepth * sizeof *words);
  const int count = all < most ? all : most;
  for (int attempt = 0, left = count; words != NULL && left > 0 && attempt < kTries; attempt++) {
    if (attempt > 0) nanosleep(&(struct timespec){0, 10000000}, NULL);
    left = 0;
    for (int i = 0; i < count; i++) {
      if (found[i].library[0] != 0) continue;
      const uintptr_t stack = StackPointer(found[i].tid);
      if (stack == 0)
        left++;
      else
        snprintf(found[i].library, sizeof found[i].library, "%.255s", Owner(&codes, stack, words));
    }
  }
  free(words);
  free(codes.list);
  return all;
}

// ---- GNU OpenMP --------------------------------------------------------------------------------

struct Pause {
  int failed;
  char* left;
  size_t size;
};

static int PauseOne(struct dl_phdr_info* info, size_t size, void* given) {
  (void)size;
  struct Pause* pause = given;
  if (!Starts(Base(info->dlpi_name), "libgomp")) return 0;
  void* library = dlopen(info->dlpi_name, RTLD_LAZY | RTLD_NOLOAD);
  if (library == NULL) return 0;
  int (*all)(int) = (int (*)(int))dlsym(library, "omp_pause_resource_all");
  enum { kHard = 2 };  // omp_pause_hard
  if (all == NULL || all(kHard) != 0) {
    pause->failed++;
    const size_t used = strlen(pause->left);
    if (used < pause->size)
      snprintf(pause->left + used, pause->size - used, "%s\n", info->dlpi_name);
  }
  dlclose(library);
  return 0;
}

int samovar_threads_pause_openmp(char* left, size_t size) {
  struct Pause pause = {0, left, size};
  if (size > 0) left[0] = 0;
  dl_iterate_phdr(PauseOne, &pause);
  return pause.failed;
}
