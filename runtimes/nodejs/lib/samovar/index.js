// What Samovar gives to Node.js functions: live collections, read in place and written.
//
//   const { collection } = require('samovar');
//   const hits = await collection('movies').search(vector, { k: 5, filter: { eq: { genre: 'War' } } });
//
// How      Reads go over the C library, in memory that all instances share (snapshot.js); nothing is
//          loaded. Writes go to the server (door.js), and so do reads where this Node.js cannot map.
// Shapes   vector: an array of numbers, or a Float32Array. A hit: { id, score, attributes }. A row:
//          { id, vector, attributes }. An ack: { generation, put, updated, deleted, missing: [ids] }.
// Errors   CollectionError with `code`: NoSuchCollection, ReadOnly (the function's tag gives no
//          writes), Expired (a snapshot that was held too long), Timeout (the generation did not
//          come), Invalid (the message names the argument; nothing was done) or the server's other
//          codes; Unavailable where it did not answer, or where snapshot() cannot map.
// Needs    Node.js 20 or newer and nothing else.

'use strict';

const { json, options, text } = require('./arguments.js');
const { ask } = require('./door.js');
const { CollectionError } = require('./errors.js');
const { GENERATION, SEARCH, Reader, Snapshot, Matrix, floats, inPlace, obstacle } = require('./snapshot.js');

// As the server takes it: base64 of f32, little-endian as the processor is.
function packed(vector) {
  const { buffer, byteOffset, byteLength } = floats(vector);
  return Buffer.from(buffer, byteOffset, byteLength).toString('base64');
}

class Collection {
  #reader;

  constructor(name) {
    this.name = name;
    this.path = encodeURIComponent(name);
  }

  // { name, dimension, metric, storage, stats: { generation, rows, ... } }
  describe() {
    return ask('GET', this.path);
  }

  // The newest generation, at least minGeneration (waits so many ms for it): several reads that
  // agree, and the matrix. close() it, or say `using` where Node.js has that.
  async snapshot(options) {
    if (!inPlace()) throw obstacle(this.name);
    const known = this.#reader !== undefined;
    try {
      this.#reader ??= new Reader(this.name);
      return await this.#reader.snapshot(options);
    } catch (error) {
      if (error.code !== 'NoSuchCollection' || !known) throw error;
    }
    this.#reader = new Reader(this.name); // it was deleted and made anew
    return this.#reader.snapshot(options);
  }

  async #read(minGeneration, what) {
    const now = await this.snapshot({ minGeneration });
    try {
      return what(now);
    } finally {
      now.close();
    }
  }

  // The k nearest rows, best first. minGeneration: of a write whose effect must be seen. exact: every
  // vector is compared. candidates: rows that a search keeps on its way; more find more.
  async search(vector, given) {
    const { minGeneration, ...how } = options(given, { ...SEARCH, minGeneration: GENERATION });
    if (inPlace()) return this.#read(minGeneration, (now) => now.search(vector, how));
    const body = { vector: packed(vector), k: 10, ...how, min_generation: minGeneration };
    return (await ask('POST', `${this.path}/search`, body)).hits;
  }

  // The row, or null.
  async get(id, given) {
    const { minGeneration } = options(given, { minGeneration: GENERATION });
    text(id, 'id');
    if (inPlace()) return this.#read(minGeneration, (now) => now.get(id));
    const answer = await ask('POST', `${this.path}/get`, { ids: [id], min_generation: minGeneration });
    return answer.rows[0] ?? null;
  }

  // Makes all changes or none: [{ op: 'put', id, vector, attributes }, { op: 'update', id, attributes },
  // { op: 'delete', id }]. Answers an ack once they are on disk and every reader sees them.
  async batch(changes) {
    if (!Array.isArray(changes)) throw new CollectionError('changes: expected an array', 'Invalid');
    const asked = changes.map((change, i) => {
      json(change?.attributes, `changes[${i}]: attributes`);
      return change?.vector ? { ...change, vector: packed(change.vector) } : change;
    });
    return ask('POST', `${this.path}/batch`, { changes: asked });
  }

  put(id, vector, attributes) {
    return this.batch([{ op: 'put', id, vector, attributes }]);
  }

  upsert(id, vector, attributes) {
    return this.put(id, vector, attributes);
  }

  update(id, attributes) {
    return this.batch([{ op: 'update', id, attributes }]);
  }

  delete(id) {
    return this.batch([{ op: 'delete', id }]);
  }
}

const opened = new Map();

// The collection of that name, opened once a process.
function collection(name) {
  text(name, 'name');
  if (!opened.has(name)) opened.set(name, new Collection(name));
  return opened.get(name);
}

module.exports = { Collection, CollectionError, Matrix, Snapshot, collection };
