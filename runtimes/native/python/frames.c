#include "frames.h"

#include <errno.h>
#include <poll.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { kHead = 8, kMaxFrame = 256 << 20, kFirstBuffer = 64 << 10 };
enum { kBusyPollFlag = 1, kBusyPollNs = 100000 };

int OpenReader(struct Reader* reader) {
  *reader = (struct Reader){malloc(kFirstBuffer), kFirstBuffer, 0, 0};
  return reader->data ? 0 : (PyErr_NoMemory(), -1);
}

void CloseReader(struct Reader* reader) { free(reader->data); }

// Looks for bytes up to kBusyPollNs; between two looks whoever is ready has the processor. -1 with
// EAGAIN: none came.
static ssize_t BusyPoll(int fd, char* to, size_t room) {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  const long long until = now.tv_sec * 1000000000LL + now.tv_nsec + kBusyPollNs;
  while (1) {
    ssize_t got = recv(fd, to, room, MSG_DONTWAIT);
    if (got >= 0 || errno != EAGAIN) return got;
    clock_gettime(CLOCK_MONOTONIC, &now);
    if (now.tv_sec * 1000000000LL + now.tv_nsec >= until) return errno = EAGAIN, -1;
    sched_yield();
  }
}

// Reads until `want` bytes are there. 1: they are; 0: the server has gone; -1: an exception is set.
static int Fill(int fd, struct Reader* reader, size_t want) {
  if (reader->room < want) {
    char* grown = realloc(reader->data, want);
    if (!grown) return PyErr_NoMemory(), -1;
    reader->data = grown;
    reader->room = want;
  }
  while (reader->have < want) {
    ssize_t got;
    Py_BEGIN_ALLOW_THREADS;
    char* to = reader->data + reader->have;
    const size_t room = reader->room - reader->have;
    got = reader->busy_poll ? BusyPoll(fd, to, room) : (errno = EAGAIN, -1);
    if (got < 0 && errno == EAGAIN) {
      // Not to wait in read: it wakes, in vain, also when the server takes our last answer.
      struct pollfd wait = {fd, POLLIN, 0};
      (void)poll(&wait, 1, -1);
      got = read(fd, to, room);
    }
    Py_END_ALLOW_THREADS;
    if (got == 0) return 0;
    if (got < 0) {
      if (errno != EINTR) return PyErr_SetFromErrno(PyExc_OSError), -1;
      if (PyErr_CheckSignals() != 0) return -1;
      continue;
    }
    reader->have += (size_t)got;
  }
  return 1;
}

int NextFrame(int fd, struct Reader* reader, struct Frame* frame) {
  int filled = Fill(fd, reader, kHead);
  if (filled <= 0) return filled;
  const unsigned char* head = (const unsigned char*)reader->data;
  size_t length = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
  frame->kind = head[4];
  reader->busy_poll = head[5] & kBusyPollFlag;
  frame->meta_size = head[6] | (size_t)head[7] << 8;
  if (length < 4 + frame->meta_size || length > kMaxFrame) {
    PyErr_Format(PyExc_SystemExit, "samovar: a frame of %zu bytes", length);
    return -1;
  }
  frame->whole = 4 + length;
  filled = Fill(fd, reader, frame->whole);
  if (filled <= 0) return filled;
  frame->meta = reader->data + kHead;
  frame->payload = frame->meta + frame->meta_size;
  frame->payload_size = length - 4 - frame->meta_size;
  return 1;
}

void DropFrame(struct Reader* reader, const struct Frame* frame) {
  reader->have -= frame->whole;
  if (reader->have != 0) memmove(reader->data, reader->data + frame->whole, reader->have);
  if (reader->room > 16 * kFirstBuffer && reader->have < kFirstBuffer) {
    char* smaller = realloc(reader->data, kFirstBuffer);
    if (smaller) {
      reader->data = smaller;
      reader->room = kFirstBuffer;
    }
  }
}

int SendAnswer(int fd, const char* body, size_t size) {
  size_t length = 4 + size;
  unsigned char head[kHead] = {(unsigned char)length, (unsigned char)(length >> 8),
                               (unsigned char)(length >> 16), (unsigned char)(length >> 24),
                               kResponse};
  struct iovec parts[2] = {{head, kHead}, {(void*)body, size}};
  int first = 0;
  while (first < 2) {
    ssize_t sent;
    Py_BEGIN_ALLOW_THREADS;
    sent = writev(fd, parts + first, 2 - first);
    Py_END_ALLOW_THREADS;
    if (sent < 0) {
      if (errno != EINTR) return PyErr_SetFromErrno(PyExc_OSError), -1;
      if (PyErr_CheckSignals() != 0) return -1;
      continue;
    }
    while (first < 2 && (size_t)sent >= parts[first].iov_len) {
      sent -= (ssize_t)parts[first++].iov_len;
    }
    if (first < 2) {
      parts[first].iov_base = (char*)parts[first].iov_base + sent;
      parts[first].iov_len -= (size_t)sent;
    }
  }
  return 0;
}
