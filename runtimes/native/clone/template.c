// The template's side for programs in C, as runtimes/python/_samovar_template.py is for Python.
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "examine.h"
#include "request.h"
#include "samovar_clone.h"

enum { kChannel = 3, kReady = 16, kTemplate = 23, kReapMs = 20 };
enum { kSettling = 2 };  // seconds that clones may wait for the template's memory to settle

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

static int SendFrame(unsigned char kind, const char* meta, size_t name, const char* payload) {
  const size_t body = strlen(payload);
  const uint32_t length = (uint32_t)(4 + name + body);
  unsigned char head[8] = {
      length & 255, length >> 8 & 255, length >> 16 & 255, length >> 24, kind, 0,
      name & 255,   name >> 8 & 255};
  if (SendAll(head, sizeof head) != 0 || SendAll(meta, name) != 0) return -1;
  return SendAll(payload, body);
}

// 1 in the clone.
static int Clone(const struct Request* request, const struct samovar_host* host) {
  if (host->before_fork != NULL) host->before_fork();
  const pid_t child = samovar_clone_fork(request->fds[2], request->fds[0], request->fds[1]);
  if (child == 0) {
    if (host->in_child != NULL) host->in_child();
    samovar_pages_touch();
    return 1;
  }
  if (host->in_parent != NULL) host->in_parent();
  for (int i = 0; i < 3; i++) close(request->fds[i]);
  return 0;
}

// setenv() keeps its own copy; the text is this clone's.
static void TakeEnvironment(char** environment) {
  for (; *environment != NULL; environment++) {
    char* value = strchr(*environment, '=');
    *value = 0;
    setenv(*environment, value + 1, 1);
  }
}

static double Now(void) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

// Whether no caller waits for this process.
static int MadeAhead(void) {
  const char* kind = getenv("AWS_LAMBDA_INITIALIZATION_TYPE");
  return kind != NULL && strcmp(kind, "on-demand") != 0;
}

// A page that moves into a huge one after a clone was made costs that clone a page of its own: so
// only a first caller, who waits, gets one before; all others wait for that.
int samovar_template_wait(const struct samovar_host* host, char*** environment) {
  struct pollfd wait[] = {{SAMOVAR_CONTROL_FD, POLLIN, 0}, {kChannel, POLLIN, 0}};
  static struct Request request;
  uintptr_t cursor = 1;
  int children = 0, patient = MadeAhead();
  const double settled = Now() + kSettling;
  for (;;) {
    const int settling = cursor != 0 && patient && Now() < settled;
    wait[0].revents = wait[1].revents = 0;
    const int ready = poll(wait, 2, cursor != 0 ? 0 : children > 0 ? kReapMs : -1);
    if (ready < 0 && errno != EINTR) return 0;
    if (ready < 0 && host->interrupted != NULL && host->interrupted() != 0) return -1;
    while (children > 0 && waitpid(-1, NULL, WNOHANG) > 0) children--;
    if (wait[0].revents != 0 && !settling) {
      patient = 1;
      const int got = samovar_request_receive(SAMOVAR_CONTROL_FD, &request);
      if (got < 0) wait[0].fd = -1;  // no more clones from here
      if (got > 0 && Clone(&request, host)) {
        *environment = request.environment;
        return 1;
      }
      children += got > 0;
    } else if (wait[1].revents != 0) {
      return 0;
    } else if (cursor != 0) {
      cursor = samovar_pages_collapse(cursor);
    }
  }
}

static int SendReady(const struct samovar_template* about) {
  char meta[256];
  const int length = about->calls < 2
                         ? snprintf(meta, sizeof meta, "%s", about->runtime)
                         : snprintf(meta, sizeof meta, "%s%c%d", about->runtime, 0, about->calls);
  const size_t size = (size_t)length < sizeof meta ? (size_t)length : sizeof meta - 1;
  return SendFrame(kReady, meta, size, "");
}

int samovar_template_ready(const char* runtime) {
  const struct samovar_template about = {runtime, 1, NULL, NULL};
  return samovar_template_ready_with(&about);
}

int samovar_template_ready_with(const struct samovar_template* about) {
  const char* wanted = getenv("SAMOVAR_TEMPLATE");
  if (wanted == NULL || strcmp(wanted, "1") != 0) {
    SendReady(about);
    return 0;
  }
  static char report[16384];
  const int clonable = samovar_examine(about, report, sizeof report);
  SendReady(about);
  SendFrame(kTemplate, "", 0, report);
  const struct samovar_host host = {NULL, NULL, NULL, NULL};
  char** environment;
  if (clonable && samovar_template_wait(&host, &environment) == 1) {
    if (!samovar_pages_wanted()) samovar_pages_leave();
    TakeEnvironment(environment);
    SendReady(about);
    return 1;
  }
  close(SAMOVAR_CONTROL_FD);
  samovar_pages_leave();
  samovar_clone_confine();
  return 0;
}

void samovar_template_answered(void) {
  samovar_pages_record();
  samovar_pages_leave();
}
