// The template's side for programs in C, as runtimes/python/_samovar_template.py is for Python.
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "examine.h"
#include "request.h"
#include "samovar_clone.h"

enum { kChannel = 3, kReady = 16, kTemplate = 23, kReapMs = 20 };

static int SendAll(const void* bytes, size_t size) {
  const char* at = bytes;
  while (size > 0) {
    const ssize_t sent = send(kChannel, at, size, MSG_NOSIGNAL);
    if (sent < 0 && errno == EINTR) continue;
    if (sent <= 0) return -1;
    at += sent;
    size -= (size_t)sent;
  }
  return 0;
}

static int SendFrame(unsigned char kind, const char* meta, const char* payload) {
  const size_t name = strlen(meta), body = strlen(payload);
  const uint32_t length = (uint32_t)(4 + name + body);
  unsigned char head[8] = {
      length & 255, length >> 8 & 255, length >> 16 & 255, length >> 24, kind, 0,
      name & 255,   name >> 8 & 255};
  if (SendAll(head, sizeof head) != 0 || SendAll(meta, name) != 0) return -1;
  return SendAll(payload, body);
}

// 1 in the clone.
static int Clone(const struct Request* request) {
  const pid_t child = samovar_clone_fork(request->fds[2], request->fds[0], request->fds[1]);
  if (child != 0) {
    for (int i = 0; i < 3; i++) close(request->fds[i]);
    return 0;
  }
  samovar_pages_touch();
  samovar_pages_leave();
  // setenv() keeps its own copy; the text is this clone's.
  for (int i = 0; i < request->count; i++) {
    char* value = strchr(request->environment[i], '=');
    *value = 0;
    setenv(request->environment[i], value + 1, 1);
  }
  return 1;
}

// 1 in a clone, 0 where an event, or the end, has come on the channel.
static int Serve(void) {
  struct pollfd wait[] = {{SAMOVAR_CONTROL_FD, POLLIN, 0}, {kChannel, POLLIN, 0}};
  static struct Request request;
  uintptr_t cursor = 1;
  int children = 0;
  for (;;) {
    wait[0].revents = wait[1].revents = 0;
    if (poll(wait, 2, cursor != 0 ? 0 : children > 0 ? kReapMs : -1) < 0 && errno != EINTR)
      return 0;
    while (children > 0 && waitpid(-1, NULL, WNOHANG) > 0) children--;
    if (wait[0].revents != 0) {
      const int got = samovar_request_receive(SAMOVAR_CONTROL_FD, &request);
      if (got < 0) wait[0].fd = -1;  // no more clones from here
      if (got > 0 && Clone(&request)) return 1;
      children += got > 0;
    } else if (wait[1].revents != 0) {
      return 0;
    } else if (cursor != 0) {
      cursor = samovar_pages_collapse(cursor);
    }
  }
}

int samovar_template_ready(const char* runtime) {
  const char* wanted = getenv("SAMOVAR_TEMPLATE");
  if (wanted == NULL || strcmp(wanted, "1") != 0) {
    SendFrame(kReady, runtime, "");
    return 0;
  }
  static char report[16384];
  const int clonable = samovar_examine(report, sizeof report);
  SendFrame(kReady, runtime, "");
  SendFrame(kTemplate, "", report);
  if (clonable && Serve()) {
    SendFrame(kReady, runtime, "");
    return 1;
  }
  close(SAMOVAR_CONTROL_FD);
  samovar_clone_confine();
  return 0;
}
