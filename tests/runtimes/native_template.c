// A program that links libsamovar_clone: counts what it answers. With THREADS or SOCKET in its
// environment it has what cannot be cloned; with PROBLEM it says so itself. Answers {"pid",
// "count", "number"}, and with PAGES set {"written", "mapped"}: whether a page that it writes for
// each answer was its own before, and whether one of a file that it reads was mapped.
#include <fcntl.h>
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include "samovar_clone.h"

static void* Tick(void* unused) {
  for (;;) pause();
  return unused;
}

static int ReadAll(void* bytes, size_t size) {
  for (char* at = bytes; size > 0;) {
    const ssize_t got = read(3, at, size);
    if (got <= 0) return -1;
    at += got;
    size -= (size_t)got;
  }
  return 0;
}

static char written[3 * 4096] __attribute__((aligned(4096)));
static volatile const char* file;

// Bits of /proc/self/pagemap: 63 in memory, 56 of this process alone.
static int Page(const volatile char* address, int bit) {
  uint64_t entry = 0;
  const int pagemap = open("/proc/self/pagemap", O_RDONLY);
  if (pread(pagemap, &entry, 8, (off_t)((uintptr_t)address / 4096 * 8)) != 8) entry = 0;
  close(pagemap);
  return (int)(entry >> bit & 1);
}

static int Answer(char* text, size_t size, int count) {
  if (getenv("PAGES") != NULL) {
    const int was_written = Page(written + 4096, 56), was_mapped = Page(file, 63);
    written[4096] = (char)count;
    (void)file[0];
    return snprintf(text, size, "{\"written\":%d,\"mapped\":%d}", was_written, was_mapped);
  }
  const char* number = getenv("NUMBER");
  return snprintf(text, size, "{\"pid\":%d,\"count\":%d,\"number\":\"%s\"}", (int)getpid(), count,
                  number != NULL ? number : "");
}

int main(void) {
  pthread_t thread;
  int count = 40;  // as if it had taken long to count so far
  if (getenv("THREADS") != NULL) pthread_create(&thread, NULL, Tick, NULL);
  if (getenv("SOCKET") != NULL && socket(AF_UNIX, SOCK_STREAM, 0) < 0) return 9;
  memset(written, 1, sizeof written);
  file = mmap(NULL, 4096, PROT_READ, MAP_PRIVATE, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), 0);
  const char* calls = getenv("CALLS");
  const char* problem = getenv("PROBLEM");
  const struct samovar_template about = {"counter 1", calls != NULL ? atoi(calls) : 1, problem,
                                         "none"};
  if (calls != NULL || problem != NULL)
    samovar_template_ready_with(&about);
  else
    samovar_template_ready("counter 1");
  for (unsigned char head[8]; ReadAll(head, sizeof head) == 0;) {
    static char rest[65536];
    uint32_t length;
    memcpy(&length, head, 4);
    if (length - 4 > sizeof rest || ReadAll(rest, length - 4) != 0 || head[4] != 1) break;
    char text[256];
    const int size = Answer(text, sizeof text, ++count);
    const uint32_t answer = 4 + (uint32_t)size;
    memcpy(head, &answer, 4);
    head[4] = 18;
    head[5] = head[6] = head[7] = 0;
    if (write(3, head, 8) != 8 || write(3, text, (size_t)size) != size) break;
    samovar_template_answered();
  }
  return 0;
}
