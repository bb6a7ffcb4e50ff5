// A program that links libsamovar_clone: counts what it answers. With THREADS or SOCKET in its
// environment it has what cannot be cloned. Answers {"pid", "count", "number"}.
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
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

int main(void) {
  pthread_t thread;
  int count = 40;  // as if it had taken long to count so far
  if (getenv("THREADS") != NULL) pthread_create(&thread, NULL, Tick, NULL);
  if (getenv("SOCKET") != NULL && socket(AF_UNIX, SOCK_STREAM, 0) < 0) return 9;
  samovar_template_ready("counter 1");
  for (unsigned char head[8]; ReadAll(head, sizeof head) == 0;) {
    static char rest[65536];
    uint32_t length;
    memcpy(&length, head, 4);
    if (length - 4 > sizeof rest || ReadAll(rest, length - 4) != 0 || head[4] != 1) break;
    char text[256];
    const char* number = getenv("NUMBER");
    const int size = snprintf(text, sizeof text, "{\"pid\":%d,\"count\":%d,\"number\":\"%s\"}",
                              (int)getpid(), ++count, number != NULL ? number : "");
    const uint32_t answer = 4 + (uint32_t)size;
    memcpy(head, &answer, 4);
    head[4] = 18;
    head[5] = head[6] = head[7] = 0;
    if (write(3, head, 8) != 8 || write(3, text, (size_t)size) != size) break;
  }
  return 0;
}
