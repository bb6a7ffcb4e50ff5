#pragma once
// The lines of /proc/self/maps, one at a time, without allocating.
#include <stddef.h>
#include <stdint.h>

struct Mapping {
  uintptr_t begin, end;
  char permissions[5];  // "rw-p"
  unsigned long inode;  // 0: anonymous
  char path[512];       // "" for anonymous memory, else as the kernel writes it
};

struct Maps {
  int file;
  size_t have, at;
  char text[8192];
};

int samovar_maps_open(struct Maps* maps);                           // -1 and errno
int samovar_maps_next(struct Maps* maps, struct Mapping* mapping);  // 0 at the end
void samovar_maps_close(struct Maps* maps);
