#pragma once
// Frames of the channel between the server and a runtime; docs/formats/channel.md.
//
// Errors   -1 with a Python exception set: OSError, MemoryError, SystemExit for a malformed frame.
// Threads  Other Python threads run while these wait.

#include "module.h"

enum { kInvoke = 1, kShutdown = 2, kResponse = 18 };

struct Frame {
  unsigned char kind;
  char *meta, *payload;
  size_t meta_size, payload_size, whole;
};

struct Reader {
  char* data;
  size_t room, have;
  int busy_poll;  // the server wants the next frame looked for before the wait
};

int OpenReader(struct Reader* reader);
void CloseReader(struct Reader* reader);
// 1: `frame` points into the reader until DropFrame. 0: the server has gone.
int NextFrame(int fd, struct Reader* reader, struct Frame* frame);
// The frame has been dealt with. A large buffer does not stay: idle instances keep their memory.
void DropFrame(struct Reader* reader, const struct Frame* frame);
// A RESPONSE of JSON.
int SendAnswer(int fd, const char* body, size_t size);
