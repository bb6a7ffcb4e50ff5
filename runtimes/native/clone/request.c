#include "request.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static char* Past(char* at, const char* token) {  // the token with white space before it
  if (at == NULL) return NULL;
  at += strspn(at, " \t\r\n");
  const size_t length = strlen(token);
  return strncmp(at, token, length) == 0 ? at + length : NULL;
}

static char* PutUtf8(char* out, unsigned code) {
  if (code < 0x80) {
    *out++ = (char)code;
  } else if (code < 0x800) {
    *out++ = (char)(0xc0 | code >> 6);
    *out++ = (char)(0x80 | (code & 63));
  } else if (code < 0x10000) {
    *out++ = (char)(0xe0 | code >> 12);
    *out++ = (char)(0x80 | (code >> 6 & 63));
    *out++ = (char)(0x80 | (code & 63));
  } else {
    *out++ = (char)(0xf0 | code >> 18);
    *out++ = (char)(0x80 | (code >> 12 & 63));
    *out++ = (char)(0x80 | (code >> 6 & 63));
    *out++ = (char)(0x80 | (code & 63));
  }
  return out;
}

static char* Hex(char* at, unsigned* code) {
  *code = 0;
  for (int i = 0; i < 4; i++, at++) {
    const char* digits = "0123456789abcdef0123456789ABCDEF";
    const char* found = *at != 0 ? strchr(digits, *at) : NULL;
    if (found == NULL) return NULL;
    *code = *code << 4 | ((unsigned)(found - digits) & 15);
  }
  return at;
}

static char* Escape(char* at, char** out) {  // after the backslash
  static const char kNames[] = "\"\\/bfnrt", kValues[] = "\"\\/\b\f\n\r\t";
  if (*at != 'u') {
    const char* found = *at != 0 ? strchr(kNames, *at) : NULL;
    if (found == NULL) return NULL;
    *(*out)++ = kValues[found - kNames];
    return at + 1;
  }
  unsigned code, low;
  at = Hex(at + 1, &code);
  if (at != NULL && code >= 0xd800 && code < 0xdc00) {
    at = at[0] == '\\' && at[1] == 'u' ? Hex(at + 2, &low) : NULL;
    if (at == NULL || low < 0xdc00 || low > 0xdfff) return NULL;
    code = 0x10000 + ((code - 0xd800) << 10) + (low - 0xdc00);
  }
  if (at == NULL || code == 0) return NULL;
  *out = PutUtf8(*out, code);
  return at;
}

// A string is decoded in place: it only gets shorter.
static char* String(char* at, char** text) {
  at = Past(at, "\"");
  if (at == NULL) return NULL;
  char* out = *text = at;
  while (at != NULL && *at != '"') {
    if ((unsigned char)*at < 0x20) return NULL;  // the end too
    if (*at == '\\')
      at = Escape(at + 1, &out);
    else
      *out++ = *at++;
  }
  if (at == NULL) return NULL;
  char* after = at + 1;
  *out = 0;
  return after;
}

static int Parse(struct Request* request) {
  char* at = Past(Past(Past(request->text, "{"), "\"clone\""), ":");
  at = Past(Past(Past(Past(at, "{"), "\"env\""), ":"), "[");
  request->count = 0;
  if (Past(at, "]") == NULL) {
    do {
      if (request->count == kMostVariables) return 0;
      char* one;
      at = String(at, &one);
      if (at == NULL || strchr(one, '=') == NULL || one[0] == '=') return 0;
      request->environment[request->count++] = one;
      char* next = Past(at, ",");
      if (next == NULL) break;
      at = next;
    } while (1);
  }
  request->environment[request->count] = NULL;
  return Past(Past(Past(at, "]"), "}"), "}") != NULL;
}

int samovar_request_receive(int control, struct Request* request) {
  struct iovec part = {request->text, sizeof request->text - 1};
  union {
    struct cmsghdr head;
    char room[CMSG_SPACE(8 * sizeof(int))];
  } ancillary;
  struct msghdr message = {.msg_iov = &part,
                           .msg_iovlen = 1,
                           .msg_control = &ancillary,
                           .msg_controllen = sizeof ancillary};
  const ssize_t got = recvmsg(control, &message, MSG_CMSG_CLOEXEC);
  if (got <= 0) return -1;
  request->text[got] = 0;
  int fds[8], count = 0;
  for (struct cmsghdr* one = CMSG_FIRSTHDR(&message); one != NULL;
       one = CMSG_NXTHDR(&message, one)) {
    if (one->cmsg_level != SOL_SOCKET || one->cmsg_type != SCM_RIGHTS) continue;
    const int here = (int)((one->cmsg_len - CMSG_LEN(0)) / sizeof(int));
    for (int i = 0; i < here && count < 8; i++)
      memcpy(&fds[count++], CMSG_DATA(one) + i * sizeof(int), sizeof(int));
  }
  if (count == 3 && strlen(request->text) == (size_t)got && Parse(request)) {
    memcpy(request->fds, fds, sizeof request->fds);
    return 1;
  }
  while (count > 0) close(fds[--count]);
  return 0;
}
