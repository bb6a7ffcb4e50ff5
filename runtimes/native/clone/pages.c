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

// What one clone had after an answer. The next one to tell, itself at a later answer or another,
// had the pages of this round before its own, so that its round holds both: no two calls write to
// quite the same pages.
enum { kRounds = 4 };
struct Round {
  uint32_t count;
  uint64_t pages[2];  // written, read
  struct Range ranges[kRanges];
};

struct Table {
  _Atomic int filled;          // rounds that are ready; later ones hold earlier ones
  int busy;                    // 1: a clone is at the next
  _Atomic uint64_t collapsed;  // ranges of the template's
  struct Round rounds[kRounds];
};

static struct Table* table;

// The rounds that were ready when this clone took its pages, or when it told last.
static int taken;

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

int samovar_pages_wanted(void) {
  return table != NULL && taken < kRounds && table->filled == taken;
}

void samovar_pages_table(uintptr_t* begin, uintptr_t* end) {
  *begin = (uintptr_t)table;
  *end = table == NULL ? 0 : *begin + ((sizeof *table + kPage - 1) & ~(uintptr_t)(kPage - 1));
}

void samovar_pages_leave(void) {
  if (table != NULL) munmap(table, sizeof *table);
  table = NULL;
}

static int Add(struct Round* round, uintptr_t page) {
  struct Range* last = round->count > 0 ? &round->ranges[round->count - 1] : NULL;
  if (round->pages[page & kRead] >= kMostPages) return 0;
  round->pages[page & kRead]++;
  if (last != NULL && last->begin + last->pages * kPage == page) {
    last->pages++;
    return 1;
  }
  if (round->count >= kRanges) return 0;
  round->ranges[round->count++] = (struct Range){page, 1};
  return 1;
}

// What of a mapping is wanted: pages of this process alone, or pages of a file.
static void RecordMapping(struct Round* round, int pagemap, const struct Mapping* mapping,
                          int read) {
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
      if ((entries[i] & looked) == wanted && !Add(round, page | (uintptr_t)read)) return;
    }
  }
}

static void Record(struct Round* round, int pagemap) {
  struct Maps maps;
  struct Mapping mapping;
  round->pages[0] = round->pages[1] = round->count = 0;
  if (samovar_maps_open(&maps) != 0) return;
  while (samovar_maps_next(&maps, &mapping)) {
    if (mapping.permissions[3] != 'p' || mapping.permissions[0] != 'r') continue;
    const int written = mapping.permissions[1] == 'w';
    if (written || mapping.inode != 0) RecordMapping(round, pagemap, &mapping, !written);
  }
  samovar_maps_close(&maps);
}

long samovar_pages_record(void) {
  int idle = 0;
  if (!samovar_pages_wanted() || sysconf(_SC_PAGESIZE) != kPage ||
      !__atomic_compare_exchange_n(&table->busy, &idle, 1, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE)) {
    return 0;
  }
  long pages = 0;
  const int pagemap = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
  if (pagemap >= 0 && samovar_pages_wanted() && table->collapsed == mark) {
    struct Round* round = &table->rounds[taken];
    Record(round, pagemap);
    if (table->collapsed == mark) {  // else it is for a later clone to tell
      pages = (long)round->pages[0];
      table->filled = ++taken;
    }
  }
  if (pagemap >= 0) close(pagemap);
  __atomic_store_n(&table->busy, 0, __ATOMIC_RELEASE);
  return pages;
}

// Ranges are read once each: another clone of the same template may write to the table.
long samovar_pages_touch(void) {
  if (table == NULL) return 0;
  taken = table->filled;
  if (taken < 1 || taken > kRounds) return 0;
  const struct Round* round = &table->rounds[taken - 1];
  const uint32_t count = round->count < kRanges ? round->count : kRanges;
  long touched = 0;
  for (uint32_t i = 0; i < count; i++) {
    const struct Range range = round->ranges[i];
    if (range.pages > kMostPages || touched > 2 * kMostPages) break;
    // What is not mapped in this clone is nobody's loss.
    const int how = range.begin & kRead ? MADV_POPULATE_READ : MADV_POPULATE_WRITE;
    void* begin = (void*)(range.begin & ~(uintptr_t)kRead);
    if (madvise(begin, range.pages * kPage, how) == 0) touched += (long)range.pages;
  }
  return touched;
}
