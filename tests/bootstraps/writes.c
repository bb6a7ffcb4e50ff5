/* writes: a `provided` bootstrap in C whose event, an array of changes, goes into the collection that FILMS names.
 *
 * Why     Functions in C write by the C library alone; the tests call it from one.
 * How     One HTTP/1.0 connection to the Runtime API a request; samovar_collection_write; then a snapshot of that
 *         generation, without waiting.
 * Errors  What the library says is in the answer. Status 1 where the Runtime API is not understood. */

#include <arpa/inet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "samovar_collections.h"

enum { kRoom = 1 << 20 };
static char text[kRoom];

/* The answer, whole, in `text`; its body. */
static char* Exchange(const char* request, size_t size) {
  const char* api = getenv("AWS_LAMBDA_RUNTIME_API");
  const char* colon = api ? strrchr(api, ':') : NULL;
  if (!colon) exit(1);
  char host[64];
  snprintf(host, sizeof host, "%.*s", (int)(colon - api), api);
  struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons((unsigned short)atoi(colon + 1))};
  inet_pton(AF_INET, host, &to.sin_addr);
  const int fd = socket(AF_INET, SOCK_STREAM, 0);
  if (connect(fd, (struct sockaddr*)&to, sizeof to) != 0) exit(1);
  for (size_t sent = 0; sent < size;) {
    const ssize_t n = write(fd, request + sent, size - sent);
    if (n <= 0) exit(1);
    sent += (size_t)n;
  }
  size_t have = 0;
  ssize_t n;
  while (have < kRoom - 1 && (n = read(fd, text + have, kRoom - 1 - have)) > 0) have += (size_t)n;
  close(fd);
  text[have] = 0;
  char* body = strstr(text, "\r\n\r\n");
  if (!body) exit(1);
  return body + 4;
}

static int Write(samovar_collection* films, const char* changes, char* out, size_t room) {
  samovar_error error = {{0}};
  samovar_ack ack = {0};
  samovar_snapshot* now = NULL;
  uint64_t seen = 0, rows = 0;
  const int code = samovar_collection_write(films, changes, strlen(changes), &ack, &error);
  if (code == SAMOVAR_OK && samovar_snapshot_open(films, ack.generation, 0, &now, &error) == SAMOVAR_OK) {
    seen = samovar_snapshot_generation(now);
    for (uint64_t row = 0; row < samovar_snapshot_rows(now); ++row) rows += samovar_snapshot_alive(now, row) ? 1 : 0;
    samovar_snapshot_close(now);
  }
  for (char* c = error.message; *c; ++c) {
    if (*c == '"' || *c == '\\') *c = '\'';
  }
  return snprintf(out, room,
                  "{\"code\": %d, \"message\": \"%s\", \"ack\": [%lu, %lu, %lu, %lu, %lu], \"seen\": %lu, \"rows\": %lu}", code,
                  error.message, (unsigned long)ack.generation, (unsigned long)ack.put, (unsigned long)ack.updated,
                  (unsigned long)ack.deleted, (unsigned long)ack.missing, (unsigned long)seen, (unsigned long)rows);
}

int main(void) {
  samovar_collection* films = NULL;
  samovar_error error;
  if (samovar_collection_open(NULL, getenv("FILMS"), &films, &error) != SAMOVAR_OK) {
    fprintf(stderr, "%s\n", error.message);
    return 1;
  }
  while (1) {
    static const char next[] = "GET /2018-06-01/runtime/invocation/next HTTP/1.0\r\n\r\n";
    const char* changes = Exchange(next, sizeof next - 1);
    char id[128] = "", answer[1024], reply[2048];
    const char* header = strcasestr(text, "Lambda-Runtime-Aws-Request-Id: ");
    if (!header || sscanf(header + 31, "%127[^\r]", id) != 1) return 1;
    const int size = Write(films, changes, answer, sizeof answer);
    const int all = snprintf(reply, sizeof reply,
                             "POST /2018-06-01/runtime/invocation/%s/response HTTP/1.0\r\nContent-Length: %d\r\n\r\n%s", id, size,
                             answer);
    Exchange(reply, (size_t)all);
  }
}
