// Types of what Samovar gives to Node.js functions (index.js). With `paths` of tsconfig.json a
// compiler finds them, as docs/collections.md shows; in an instance nobody reads this file.
//
//   const films = collection<{ year: number }>('films');
//   const hits = await films.search(vector, { k: 5, filter: { range: { year: { gte: 1990 } } } });
//
// Needs    TypeScript 5.2 or newer, and nothing else.

/// <reference lib="esnext.disposable" />

export type Json = string | number | boolean | null | Json[] | { [member: string]: Json };

/** What a row has beside its id and vector. A program's own type is handed on: `collection<Film>('films')`. */
export type Attributes = { [member: string]: Json };

/** As many numbers as the collection's dimension. */
export type Vector =
  | readonly number[] | Float32Array | Float64Array | Int8Array | Uint8Array | Uint8ClampedArray | Int16Array
  | Uint16Array | Int32Array | Uint32Array;

export type Metric = 'cosine' | 'dot' | 'l2';
export type Storage = 'f32' | 'f16' | 'i8';

export type Scalar = string | number | boolean | null;
export type Bounds<S extends number | string> = { gte?: S; gt?: S; lte?: S; lt?: S };

/** Of members of the top level; one that is an array fits when one of its elements does. */
export type Filter =
  | { eq: { [member: string]: Scalar } }
  | { in: { [member: string]: readonly Scalar[] } }
  | { range: { [member: string]: Bounds<number> | Bounds<string> } }
  | { and: readonly Filter[] }
  | { or: readonly Filter[] }
  | { not: Filter };

export interface SearchOptions {
  /** How many, from 1 to 10,000 (10). */
  k?: number;
  filter?: Filter | null;
  /** Compares every vector. */
  exact?: boolean;
  /** Rows that a search keeps on its way: more find more. 0: what suits k. */
  candidates?: number;
}

export interface Newest {
  /** The generation of a write whose effect must be seen: it is waited for. */
  minGeneration?: number;
}

export interface Hit<A = Attributes> {
  id: string;
  /** The cosine, the dot product or the Euclidean distance. */
  score: number;
  attributes: A;
}

export interface Row<A = Attributes> {
  id: string;
  vector: number[];
  attributes: A;
}

/** What a batch did: it is on disk, and every reader sees it as `generation`. */
export interface Ack {
  generation: number;
  put: number;
  updated: number;
  deleted: number;
  /** Ids that an update or delete did not find. */
  missing: string[];
}

/** Members that replace those of the row; null takes one away. */
export type Changes<A = Attributes> = { [M in keyof A]?: A[M] | null };

export type Change<A = Attributes> =
  | { op: 'put'; id: string; vector: Vector; attributes?: A }
  | { op: 'update'; id: string; attributes: Changes<A> }
  | { op: 'delete'; id: string };

export interface Description {
  name: string;
  dimension: number;
  metric: Metric;
  storage: Storage;
  created: string;
  /** Why it cannot be served. */
  error?: string;
  /** Of a kept generation: the versions and tags that name it. */
  pinned_by?: string[];
  /** Its generations that are kept, and who names them. */
  pins?: { name: string; pinned_by: string[] }[];
  stats?: {
    generation: number;
    rows: number;
    segments: number;
    stored_rows: number;
    shared_bytes: number;
    log_bytes: number;
    flushes: number;
    graph_rows: number;
    candidates?: number;
    sample_recall?: number;
  };
}

/**
 * NoSuchCollection: it is not there, or this function may not see it. ReadOnly: the function's tag gives no writes.
 * Expired: a snapshot that was held too long. Timeout: the generation did not come. Invalid: an argument is wrong, which
 * the message names, and nothing was done. Unavailable: the server did not answer (a batch may have been made, and
 * making it again does no harm), or this Node.js cannot map. Others are the server's own.
 */
export type ErrorCode =
  | 'NoSuchCollection' | 'ReadOnly' | 'Expired' | 'Timeout' | 'Invalid' | 'Unavailable' | (string & {});

/** What all calls of this module throw. */
export class CollectionError extends Error {
  constructor(message: string, code: ErrorCode);
  name: 'CollectionError';
  readonly code: ErrorCode;
}

/** Of f16 it is Float16Array where this Node.js has that, else the bits of each number. */
export type Stored =
  | Float32Array | Uint16Array | Int8Array
  | (typeof globalThis extends { Float16Array: { prototype: infer F } } ? F : never);

/** All vectors as they are stored, on the shared memory itself. What is written there is seen by its writer alone. */
export class Matrix {
  private constructor();
  /** Row r begins at data[r * stride] and has `columns` elements; of i8 the steps of a scale that each row has of its own. */
  readonly data: Stored;
  readonly rows: number;
  readonly columns: number;
  readonly stride: number;
  readonly storage: Storage;
  row(number: number): Stored;
}

/** One generation: reads of it agree, wait for nobody, and block the event loop for as long as they compute. */
export class Snapshot<A = Attributes> {
  private constructor();
  readonly generation: number;
  /** The nearest rows, best first. */
  search(vector: Vector, options?: SearchOptions): Hit<A>[];
  get(id: string): Row<A> | null;
  /** Good as long as it lives, also after close(). */
  matrix(): Matrix;
  /** Ids in the order of the matrix's rows; null where the row is gone. */
  get ids(): (string | null)[];
  /** How many rows there are. */
  get length(): number;
  /** Throws `Expired` where what was read may be wrong, as the snapshot was held for more than 15 minutes. */
  check(): void;
  close(): void;
  /** For `using now = await films.snapshot()`, where Node.js has that. */
  [Symbol.dispose](): void;
}

export class Collection<A = Attributes> {
  /** As `collection(name)`, but not kept for the next who asks. */
  constructor(name: string);
  readonly name: string;
  /** The name as it stands in the server's paths. */
  readonly path: string;
  describe(): Promise<Description>;
  /** The newest generation, at least minGeneration, which is waited for `wait` ms (5,000). close() it. */
  snapshot(options?: Newest & { wait?: number }): Promise<Snapshot<A>>;
  /** The nearest rows, best first. */
  search(vector: Vector, options?: SearchOptions & Newest): Promise<Hit<A>[]>;
  get(id: string, options?: Newest): Promise<Row<A> | null>;
  /** Makes all changes or none. */
  batch(changes: readonly Change<A>[]): Promise<Ack>;
  put(id: string, vector: Vector, attributes?: A): Promise<Ack>;
  /** Another name of put. */
  upsert(id: string, vector: Vector, attributes?: A): Promise<Ack>;
  /** Changes attributes alone. */
  update(id: string, attributes: Changes<A>): Promise<Ack>;
  delete(id: string): Promise<Ack>;
}

/** The collection of that name, opened once a process. */
export function collection<A = Attributes>(name: string): Collection<A>;
