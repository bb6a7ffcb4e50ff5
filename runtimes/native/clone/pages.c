// What a template's memory costs its clones: huge pages for cheap forks, and pages copied early.
//
// How      /proc/self/pagemap says of each page whether it is in memory (bit 63) and whether this
//          process alone maps it (bit 56); in a clone the second means: written since the fork.
//          Of files a fork maps nothing, so that a clone finds its program page by page again: what
//          the first call had mapped of them, later clones map together.
// Source   Linux, Documentation/admin-guide/mm/pagemap.rst; madvise(2).
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "maps.h"
#include "samovar_clone.h"

#ifndef MADV_POPULATE_READ
#define MADV_POPULATE_READ 22
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE 23
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25
#endif

enum { kPage = 4096, kEntries = 512 };
#define kHuge ((uintptr_t)2 << 20)
#define kPresent ((uint64_t)1 << 63)
#define kAlone ((uint64_t)1 << 56)
#define kFile ((uint64_t)1 << 61)

// ---- the table of written pages ----------------------------------------------------------------

struct Range {
  uintptr_t begin;  // with kRead, where its pages are a file's and only read
  uint64_t pages;
};

enum { kRanges = 8190, kMostPages = 16384 };  // 128 KiB of table; 64 MiB of pages of each kind
enum { kRead = 1 };

struct Table {
  _Atomic int filled;  // 0 nobody, 1 one clone is at it, 2 ready
  uint32_t count;
  uint64_t pages[2];           // written, read
  _Atomic uint64_t collapsed;  // ranges of the template's
  struct Range ranges[kRanges];
};

static struct Table* table;

// How often the template had collapsed a range when this clone was made.
static uint64_t mark;

void samovar_pages_mark(void) { mark = table != NULL ? table->collapsed : 0; }

// A page that the template has moved into a huge one since is a clone's alone, though not written.
static void CountCollapse(void) {
  if (table != NULL) table->collapsed++;
}

// ---- huge pages --------------------------------------------------------------------------------

static int PrivateMemory(const struct Mapping* mapping) {
  return mapping->permissions[1] == 'w' && mapping->permissions[3] == 'p' &&
         (mapping->inode == 0) && strcmp(mapping->path, "[stack]") != 0 &&
         strncmp(mapping->path, "[v", 2) != 0;
}

static int WorthCollapsing(int pagemap, uintptr_t begin) {
  uint64_t entries[kEntries];
  const ssize_t got =
      pread(pagemap, entries, sizeof entries, (off_t)(begin / kPage * sizeof *entries));
  if (got != (ssize_t)sizeof entries) return 0;
  int present = 0;
  for (int i = 0; i < kEntries; i++) present += (entries[i] & kPresent) != 0;
  return present >= kEntries / 2;
}

uintptr_t samovar_pages_collapse(uintptr_t cursor) {
  struct Maps maps;
  struct Mapping mapping;
  uintptr_t next = 0;
  if (sysconf(_SC_PAGESIZE) != kPage || samovar_maps_open(&maps) != 0) return 0;
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  while (pagemap >= 0 && next == 0 && samovar_maps_next(&maps, &mapping)) {
    if (!PrivateMemory(&mapping) || mapping.end <= cursor) continue;
    uintptr_t begin = mapping.begin > cursor ? mapping.begin : cursor;
    begin = (begin + kHuge - 1) & ~(kHuge - 1);
    for (; begin + kHuge <= mapping.end && next == 0; begin += kHuge) {
      if (!WorthCollapsing(pagemap, begin)) continue;
      const int done = madvise((void*)begin, kHuge, MADV_COLLAPSE);
      if (done != 0 && errno == EINVAL) break;  // not for this mapping, or not on this kernel
      if (done == 0) CountCollapse();
      next = begin + kHuge;
    }
  }
  if (pagemap >= 0) close(pagemap);
  samovar_maps_close(&maps);
  return next;
}

// ---- written pages ----------------------------------------------------------------------------

int samovar_pages_share(void) {
  if (table != NULL) return 0;
  void* memory =
      mmap(NULL, sizeof *table, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) return -1;
  table = memory;
  return 0;
}

int samovar_pages_wanted(void) { return table != NULL && table->filled == 0; }

void samovar_pages_table(uintptr_t* begin, uintptr_t* end) {
  *begin = (uintptr_t)table;
  *end = table == NULL ? 0 : *begin + ((sizeof *table + kPage - 1) & ~(uintptr_t)(kPage - 1));
}

void samovar_pages_leave(void) {
  if (table != NULL) munmap(table, sizeof *table);
  table = NULL;
}

static int Add(uintptr_t page) {
  struct Range* last = table->count > 0 ? &table->ranges[table->count - 1] : NULL;
  if (table->pages[page & kRead] >= kMostPages) return 0;
  table->pages[page & kRead]++;
  if (last != NULL && last->begin + last->pages * kPage == page) {
    last->pages++;
    return 1;
  }
  if (table->count == kRanges) return 0;
  table->ranges[table->count++] = (struct Range){page, 1};
  return 1;
}

// What of a mapping is wanted: pages of this process alone, or pages of a file.
static void RecordMapping(int pagemap, const struct Mapping* mapping, int read) {
  static uint64_t entries[kEntries];
  uintptr_t page = mapping->begin;
  while (page < mapping->end) {
    uintptr_t left = (mapping->end - page) / kPage;
    if (left > kEntries) left = kEntries;
    const ssize_t got =
        pread(pagemap, entries, left * sizeof *entries, (off_t)(page / kPage * sizeof *entries));
    if (got <= 0) return;
    for (size_t i = 0; i < (size_t)got / sizeof *entries; i++, page += kPage) {
      const uint64_t wanted = kPresent | (read ? kFile : kAlone);
      const uint64_t looked = kPresent | kFile | (read ? 0 : kAlone);
      if ((entries[i] & looked) == wanted && !Add(page | (uintptr_t)read)) return;
    }
  }
}

long samovar_pages_record(void) {
  struct Maps maps;
  struct Mapping mapping;
  if (table == NULL || sysconf(_SC_PAGESIZE) != kPage) return 0;
  int none = 0;
  if (!__atomic_compare_exchange_n((int*)&table->filled, &none, 1, 0, __ATOMIC_ACQ_REL,
                                   __ATOMIC_ACQUIRE)) {
    return 0;
  }
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap < 0 || table->collapsed != mark) {
    if (pagemap >= 0) close(pagemap);
    table->filled = 0;  // for a later clone
    return 0;
  }
  if (samovar_maps_open(&maps) == 0) {
    while (samovar_maps_next(&maps, &mapping)) {
      if (mapping.permissions[3] != 'p' || mapping.permissions[0] != 'r') continue;
      const int written = mapping.permissions[1] == 'w';
      if (written || mapping.inode != 0) RecordMapping(pagemap, &mapping, !written);
    }
    samovar_maps_close(&maps);
  }
  close(pagemap);
  const long pages = (long)table->pages[0];
  const int right = table->collapsed == mark;
  if (!right) table->pages[0] = table->pages[1] = table->count = 0;
  table->filled = right ? 2 : 0;
  return pages;
}

// Ranges are read once each: another clone of the same template may write to the table.
long samovar_pages_touch(void) {
  if (table == NULL || table->filled != 2) return 0;
  const uint32_t count = table->count < kRanges ? table->count : kRanges;
  long touched = 0;
  for (uint32_t i = 0; i < count; i++) {
    const struct Range range = table->ranges[i];
    if (range.pages > kMostPages || touched > 2 * kMostPages) break;
    // What is not mapped in this clone is nobody's loss.
    const int how = range.begin & kRead ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
    void* begin = (void*)(range.begin & ~(uintptr_t)kRead);
    if (madvise(begin, range.pages * kPage, how) == 0) touched += (long)range.pages;
  }
  return touched;
}
