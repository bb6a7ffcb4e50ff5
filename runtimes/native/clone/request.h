#pragma once
// A request for a clone: JSON {"clone": {"env": ["NAME=value", ...]}} with three descriptors.
enum { kMostRequest = 256 << 10, kMostVariables = 1024 };

struct Request {
  int fds[3];  // log, channel, setup
  int count;
  char* environment[kMostVariables + 1];  // into `text`; NULL at the end
  char text[kMostRequest];
};

// 1: a request; 0: one that makes no sense, whose descriptors are closed; -1: nobody asks any more.
int samovar_request_receive(int control, struct Request* request);
