// A collection as one generation has it, read in place (samovar_collections.node, sdk/nodejs).

'use strict';

const { json, options, plain, text, truth, whole } = require('./arguments.js');
const { CollectionError, noneVisible } = require('./errors.js');

const METRICS = ['cosine', 'dot', 'l2'];
const STORAGES = ['f32', 'f16', 'i8'];
const WAIT_STEP_MS = 1;
const GENERATION = whole(0, Number.MAX_SAFE_INTEGER);
const SEARCH = { k: whole(1, 10000), filter: plain, exact: truth, candidates: whole(0, 10000) };
const TAKE = { minGeneration: GENERATION, wait: whole(0, 2 ** 31) };

// What the module throws, as ours.
function native(call, ...values) {
  try {
    return inPlace[call](...values);
  } catch (error) {
    throw new CollectionError(error.message, error.code);
  }
}

let inPlace = null;
let obstacle;
try {
  inPlace = require('./samovar_collections.node');
} catch (error) {
  obstacle = error.message; // another C library, say: then the server is asked (index.js)
}

// A vector as f32.
function floats(vector) {
  if (vector instanceof Float32Array) return vector;
  if (!Array.isArray(vector) && !ArrayBuffer.isView(vector)) {
    throw new CollectionError('vector: expected an array of numbers', 'Invalid');
  }
  for (let i = 0; i < vector.length; i += 1) {
    if (typeof vector[i] !== 'number') throw new CollectionError('vector: expected numbers', 'Invalid');
  }
  return Float32Array.from(vector);
}

// All vectors as they are stored, on the shared memory itself. Row r begins at data[r * stride] and
// has `columns` elements: f32 numbers; of f16 the bits where this Node.js has no Float16Array; of i8
// the steps of a scale that each row has of its own (get() applies it). What is written there is
// seen by nobody else.
class Matrix {
  constructor(found) {
    const kinds = [Float32Array, globalThis.Float16Array ?? Uint16Array, Int8Array];
    this.data = new kinds[found.storage](found.buffer);
    this.rows = found.rows;
    this.columns = found.columns;
    this.stride = found.row_bytes / this.data.BYTES_PER_ELEMENT;
    this.storage = STORAGES[found.storage];
  }

  row(number) {
    if (!(Number.isInteger(number) && number >= 0 && number < this.rows)) {
      throw new CollectionError(`row: expected a number from 0 to ${this.rows - 1}`, 'Invalid');
    }
    return this.data.subarray(number * this.stride, number * this.stride + this.columns);
  }
}

class Snapshot {
  #handle;

  #matrix;

  #ids;

  #dimension;

  constructor(dimension, taken) {
    this.#dimension = dimension;
    this.#handle = taken.handle;
    this.generation = taken.generation;
  }

  // The k nearest rows, best first: [{ id, score, attributes }]. exact: every vector is compared.
  // candidates: rows that a search keeps on its way; more find more.
  search(vector, how) {
    const { k = 10, filter, exact = false, candidates = 0 } = options(how, SEARCH);
    const fits = filter === undefined || filter === null ? undefined : json(filter, 'filter');
    const found = native('search', this.#handle, floats(vector), k, fits, exact ? 1 : 0, candidates);
    const hits = [];
    for (let i = 0; i < found.length; i += 3) {
      hits.push({ id: found[i], score: found[i + 1], attributes: JSON.parse(found[i + 2] || '{}') });
    }
    this.check();
    return hits;
  }

  // { id, vector, attributes }, or null.
  get(id) {
    const found = native('find', this.#handle, text(id, 'id'));
    if (found === undefined) return null;
    const vector = new Float32Array(this.#dimension);
    native('vector', this.#handle, found.row, vector);
    const row = { id, vector: Array.from(vector), attributes: JSON.parse(found.attributes || '{}') };
    this.check();
    return row;
  }

  // Good as long as it lives, also after close().
  matrix() {
    this.#matrix ??= new Matrix(native('matrix', this.#handle));
    return this.#matrix;
  }

  // Ids in the order of the matrix's rows; null where the row is gone.
  get ids() {
    if (!this.#ids) {
      const found = native('ids', this.#handle);
      this.check();
      this.#ids = found;
    }
    return this.#ids;
  }

  get length() {
    return native('count', this.#handle);
  }

  // Throws `Expired` where what was read may be wrong, as the snapshot was held too long.
  check() {
    native('check', this.#handle);
  }

  close() {
    native('close', this.#handle);
  }
}
if (Symbol.dispose) Snapshot.prototype[Symbol.dispose] = Snapshot.prototype.close;

// An opened collection: microseconds, at any size.
class Reader {
  #opened;

  constructor(name) {
    this.#opened = native('open', name);
    this.dimension = this.#opened.dimension;
    this.metric = METRICS[this.#opened.metric];
    this.storage = STORAGES[this.#opened.storage];
  }

  // The newest generation, at least minGeneration: waits so many ms for that one.
  async snapshot(which) {
    const { minGeneration = 0, wait = 5000 } = options(which, TAKE);
    const end = performance.now() + wait;
    for (;;) {
      try {
        return new Snapshot(this.dimension, native('take', this.#opened.handle, minGeneration));
      } catch (error) {
        if (error.code !== 'Timeout' || performance.now() >= end) throw error;
      }
      await new Promise((resolve) => { setTimeout(resolve, WAIT_STEP_MS); });
    }
  }
}

module.exports = {
  GENERATION,
  SEARCH,
  Reader,
  Snapshot,
  Matrix,
  floats,
  inPlace: () => inPlace !== null && 'SAMOVAR_COLLECTIONS' in process.env,
  // Why not.
  obstacle(name) {
    if ('SAMOVAR_COLLECTIONS' in process.env) return new CollectionError(`collections cannot be mapped: ${obstacle}`, 'Unavailable');
    return noneVisible(name);
  },
};
