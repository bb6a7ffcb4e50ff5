/* samovar_collections: live collections from inside a function, read in place.
 *
 * Why: every instance of a function sees the same rows in shared memory; opening a collection costs
 * microseconds at any size, and nothing is copied.
 *
 * How: a collection gives snapshots, each of one generation. Pointers that a snapshot hands out
 * live as long as it does. Rows are numbered from 0 in the order of storage; some numbers are of
 * rows that are gone (samovar_snapshot_alive).
 *
 * Units: generations count batches from 1. score: cosine, dot product or Euclidean distance.
 *
 * Errors: 0 is success. Otherwise an enum samovar_code, with a sentence in *error, cut to its size.
 *
 * Threads: any, as far as no two close one thing.
 *
 * ABI: stable; functions and structures are only ever added. */
#ifndef SAMOVAR_COLLECTIONS_H
#define SAMOVAR_COLLECTIONS_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define SAMOVAR_API __attribute__((visibility("default")))

enum samovar_code {
  SAMOVAR_OK = 0,
  SAMOVAR_INVALID = 1,   /* the call is wrong; the sentence names the argument */
  SAMOVAR_NOT_FOUND = 2, /* no such collection, or it may not be seen, or no such row */
  SAMOVAR_EXPIRED = 3,   /* the snapshot is too old: take another */
  SAMOVAR_TIMEOUT = 4,   /* the generation did not come in time */
  SAMOVAR_FAILED = 5,    /* the server is just starting, or out of something; try again */
  SAMOVAR_READ_ONLY = 6  /* the function's tag gives it no writes to this collection */
};

enum samovar_metric { SAMOVAR_COSINE = 0, SAMOVAR_DOT = 1, SAMOVAR_L2 = 2 };
enum samovar_storage { SAMOVAR_F32 = 0, SAMOVAR_F16 = 1, SAMOVAR_I8 = 2 };

typedef struct samovar_collection samovar_collection;
typedef struct samovar_snapshot samovar_snapshot;

typedef struct samovar_error {
  char message[256];
} samovar_error;

/* folder: where collections are seen, NULL for where the sandbox shows them. */
SAMOVAR_API int samovar_collection_open(const char* folder, const char* name,
                                        samovar_collection** out, samovar_error* error);
SAMOVAR_API void samovar_collection_close(samovar_collection* collection);
SAMOVAR_API uint32_t samovar_collection_dimension(const samovar_collection* collection);
SAMOVAR_API int samovar_collection_metric(const samovar_collection* collection);
SAMOVAR_API int samovar_collection_storage(const samovar_collection* collection);

/* What a batch did: rows put, updated and deleted, and how many ids a delete or update did not
 * find.
 */
typedef struct samovar_ack {
  uint64_t generation, put, updated, deleted, missing;
} samovar_ack;
/* Makes all changes or none. changes: a JSON array as Batch has it in
 * docs/openapi/collections.yaml, e.g. [{"op": "put", "id": "heat", "vector": [0.1, 0.2],
 * "attributes": {"year": 1995}}]. It answers once they are on disk and every reader sees them. Only
 * inside a function, whose tag samovar:collections gives it rw. On SAMOVAR_FAILED they may or may
 * not have been made; making them again does no harm. */
SAMOVAR_API int samovar_collection_write(samovar_collection* collection, const char* changes,
                                         size_t size, samovar_ack* ack, samovar_error* error);

/* The newest generation, at least min_generation: waits for that at most wait_ms. */
SAMOVAR_API int samovar_snapshot_open(samovar_collection* collection, uint64_t min_generation,
                                      uint32_t wait_ms, samovar_snapshot** out,
                                      samovar_error* error);
SAMOVAR_API void samovar_snapshot_close(samovar_snapshot* snapshot);
SAMOVAR_API uint64_t samovar_snapshot_generation(const samovar_snapshot* snapshot);
/* SAMOVAR_EXPIRED once what was read of it since the last check may be wrong. */
SAMOVAR_API int samovar_snapshot_check(const samovar_snapshot* snapshot, samovar_error* error);

/* Row numbers are below this. */
SAMOVAR_API uint64_t samovar_snapshot_rows(const samovar_snapshot* snapshot);
SAMOVAR_API int samovar_snapshot_alive(const samovar_snapshot* snapshot, uint64_t row);
/* One byte a row, 1 where it is alive. mask: room for samovar_snapshot_rows bytes. Answers how many
 * are. */
SAMOVAR_API uint64_t samovar_snapshot_mask(const samovar_snapshot* snapshot, uint8_t* mask);
SAMOVAR_API int samovar_snapshot_find(const samovar_snapshot* snapshot, const char* id,
                                      size_t id_size, uint64_t* row, samovar_error* error);
SAMOVAR_API int samovar_snapshot_id(const samovar_snapshot* snapshot, uint64_t row, const char** id,
                                    size_t* size, samovar_error* error);
/* JSON object; size 0 where the row has none. */
SAMOVAR_API int samovar_snapshot_attributes(const samovar_snapshot* snapshot, uint64_t row,
                                            const char** json, size_t* size, samovar_error* error);
/* vector: room for the dimension. */
SAMOVAR_API int samovar_snapshot_vector(const samovar_snapshot* snapshot, uint64_t row,
                                        float* vector, samovar_error* error);

/* The k nearest rows by the metric, best first. filter: JSON (docs/collections.md), or NULL.
 * rows, scores: room for k. *count: how many there are. */
SAMOVAR_API int samovar_snapshot_search(const samovar_snapshot* snapshot, const float* vector,
                                        size_t dimension, size_t k, const char* filter,
                                        size_t filter_size, uint64_t* rows, float* scores,
                                        size_t* count, samovar_error* error);

/* The same, with options; NULL for none. Zeros mean what samovar_snapshot_search does. */
typedef struct samovar_search {
  int32_t exact;       /* 1: compare every vector */
  uint32_t candidates; /* rows that a search keeps on its way, at most 10,000: more find more */
  uint64_t reserved[4];
} samovar_search;
SAMOVAR_API int samovar_snapshot_search_with(const samovar_snapshot* snapshot, const float* vector,
                                             size_t dimension, size_t k, const char* filter,
                                             size_t filter_size, const samovar_search* options,
                                             uint64_t* rows, float* scores, size_t* count,
                                             samovar_error* error);

/* All vectors as they are stored, one behind the other, in the shared memory itself, read-only. */
typedef struct samovar_matrix {
  const void* data;
  uint64_t rows;      /* as samovar_snapshot_rows */
  uint64_t row_bytes; /* from one row to the next */
  uint32_t columns;
  int32_t
      storage; /* enum samovar_storage; an element of i8 is to be multiplied by its row's scale */
} samovar_matrix;
SAMOVAR_API int samovar_snapshot_matrix(samovar_snapshot* snapshot, samovar_matrix* out,
                                        samovar_error* error);

#ifdef __cplusplus
}
#endif

#endif
