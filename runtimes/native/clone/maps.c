#include "maps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

int samovar_maps_open(struct Maps* maps) {
  maps->have = maps->at = 0;
  maps->file = open("/proc/self/maps", O_RDONLY | O_CLOEXEC);
  return maps->file < 0 ? -1 : 0;
}

void samovar_maps_close(struct Maps* maps) { close(maps->file); }

// Answers the next line with its end cut off, or NULL. The kernel's lines are shorter than the
// buffer (a path is at most 4096 bytes).
static char* NextLine(struct Maps* maps) {
  for (;;) {
    char* begin = maps->text + maps->at;
    char* end = memchr(begin, '\n', maps->have - maps->at);
    if (end != NULL) {
      *end = 0;
      maps->at = (size_t)(end + 1 - maps->text);
      return begin;
    }
    memmove(maps->text, begin, maps->have - maps->at);
    maps->have -= maps->at;
    maps->at = 0;
    if (maps->have == sizeof maps->text) return NULL;
    ssize_t got;
    do {
      got = read(maps->file, maps->text + maps->have, sizeof maps->text - maps->have);
    } while (got < 0 && errno == EINTR);
    if (got <= 0) return NULL;
    maps->have += (size_t)got;
  }
}

int samovar_maps_next(struct Maps* maps, struct Mapping* mapping) {
  char* line = NextLine(maps);
  if (line == NULL) return 0;
  int path = 0;
  if (sscanf(line, "%lx-%lx %4s %*x %*s %lu %n", &mapping->begin, &mapping->end,
             mapping->permissions, &mapping->inode, &path) < 4) {
    return 0;
  }
  snprintf(mapping->path, sizeof mapping->path, "%s", path > 0 ? line + path : "");
  return 1;
}
