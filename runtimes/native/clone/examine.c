#include "examine.h"

#include <dirent.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "maps.h"
#include "samovar_clone.h"

enum { kMostThreads = 64, kMostReasons = 20 };

struct Report {
  char* text;
  size_t size, used;
  int reasons;
};

__attribute__((format(printf, 2, 3))) static void Write(struct Report* report, const char* format,
                                                        ...) {
  va_list arguments;
  va_start(arguments, format);
  const int length =
      vsnprintf(report->text + report->used, report->size - report->used, format, arguments);
  va_end(arguments);
  if (length > 0 && (size_t)length < report->size - report->used) report->used += (size_t)length;
}

// Names come from files and may hold anything.
static const char* Plain(const char* name, char* out, size_t size) {
  size_t at = 0;
  for (; *name != 0 && at + 1 < size; name++) {
    const unsigned char byte = (unsigned char)*name;
    out[at++] = byte < 0x20 || byte > 0x7e || byte == '"' || byte == '\\' ? '?' : (char)byte;
  }
  out[at] = 0;
  return out;
}

static void Reason(struct Report* report, const char* what, const char* name, const char* rest,
                   const char* remedy) {
  char plain[256];
  if (report->reasons == kMostReasons) return;
  Write(report, "%s{\"problem\":\"%s%s%s\",\"remedy\":\"%s\"}", report->reasons > 0 ? "," : "",
        what, Plain(name, plain, sizeof plain), rest, remedy);
  report->reasons++;
}

static int SafeThread(const char* library) {
  static const char* const kSafe[] = {"libopenblas", "libgomp", "libiomp5", "libomp"};
  const char* slash = strrchr(library, '/');
  const char* name = slash != NULL ? slash + 1 : library;
  for (unsigned i = 0; i < sizeof kSafe / sizeof *kSafe; i++) {
    if (strncmp(name, kSafe[i], strlen(kSafe[i])) == 0) return 1;
  }
  return 0;
}

static int Threads(struct Report* report) {
  char left[1024];
  samovar_threads_pause_openmp(left, sizeof left);
  struct samovar_thread* found = calloc(kMostThreads, sizeof *found);
  const int count = found != NULL ? samovar_threads(found, kMostThreads) : -1;
  for (int i = 0; i < count && i < kMostThreads; i++) {
    const char* library = found[i].library;
    if (library[0] != 0 && SafeThread(library) && strstr(left, library) == NULL) continue;
    Reason(report, "a thread runs code of ", library[0] != 0 ? library : found[i].name, "",
           "start threads after samovar_template_ready()");
  }
  free(found);
  return count;
}

static void Descriptors(struct Report* report) {
  DIR* folder = opendir("/proc/self/fd");
  if (folder == NULL) return;
  for (struct dirent* entry; (entry = readdir(folder)) != NULL;) {
    const int fd = atoi(entry->d_name);
    struct stat status;
    if (fd <= SAMOVAR_CONTROL_FD || fd == dirfd(folder) || fstat(fd, &status) != 0) continue;
    const int file = S_ISREG(status.st_mode) || S_ISDIR(status.st_mode) || S_ISCHR(status.st_mode);
    if (file && status.st_nlink > 0) continue;
    Reason(report,
           file ? "a deleted file is open: descriptor "
                : "a socket, pipe or the like is open: descriptor ",
           entry->d_name, "", "open it after samovar_template_ready()");
  }
  closedir(folder);
}

static void Mappings(struct Report* report) {
  uintptr_t begin, end;
  samovar_pages_table(&begin, &end);
  struct Maps maps;
  struct Mapping mapping;
  if (samovar_maps_open(&maps) != 0) return;
  while (samovar_maps_next(&maps, &mapping)) {
    if (mapping.permissions[1] != 'w' || mapping.permissions[3] != 's' || mapping.begin == begin)
      continue;
    Reason(report, "memory is mapped shared and for writing: ", mapping.path, "",
           "map it after samovar_template_ready(), or privately");
  }
  samovar_maps_close(&maps);
}

static unsigned long PrivateBytes(void) {
  char line[256];
  unsigned long kilobytes = 0;
  FILE* file = fopen("/proc/self/smaps_rollup", "re");
  if (file == NULL) return 0;
  while (fgets(line, sizeof line, file) != NULL &&
         sscanf(line, "Anonymous: %lu kB", &kilobytes) != 1) {
  }
  fclose(file);
  return kilobytes << 10;
}

int samovar_examine(const struct samovar_template* about, char* report, size_t size) {
  struct Report out = {report, size, 0, 0};
  Write(&out, "{\"reasons\":[");
  samovar_pages_share();
  if (!samovar_clone_supported()) {
    Reason(&out, "clones are made on x86-64 only", "", "", "run it there");
  }
  if (about->problem != NULL) {
    char remedy[256];
    Reason(&out, "", about->problem, "", Plain(about->remedy, remedy, sizeof remedy));
  }
  const int threads = Threads(&out);
  Descriptors(&out);
  Mappings(&out);
  Write(&out, "],\"clonable\":%s,\"private_bytes\":%lu,\"threads\":%d}",
        out.reasons == 0 ? "true" : "false", PrivateBytes(), threads + 1);
  return out.reasons == 0;
}
