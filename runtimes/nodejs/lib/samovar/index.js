// What Samovar gives to Node.js functions: live collections, read and written.
//
//   const { collection } = require('samovar');
//   const hits = await collection('movies').search(vector, { k: 5, filter: { eq: { genre: 'War' } } });
//
// How      Over the socket that the sandbox has for that (SAMOVAR_COLLECTIONS_DOOR): a search is one
//          HTTP exchange with the server, which reads its shared memory. Nothing is loaded.
// Shapes   vector: an array of numbers, or a Float32Array. A hit: { id, score, attributes }. A row:
//          { id, vector, attributes }. An ack: { generation, put, updated, deleted, missing: [ids] }.
// Errors   CollectionError with `code`: NoSuchCollection, ReadOnly (the function's tag gives no
//          writes), Invalid (the message names the argument; nothing was done) or the server's other
//          codes; Unavailable where it did not answer.
// Needs    Node.js 20 or newer and nothing else.

'use strict';

const http = require('node:http');

const PATIENCE_MS = 60000;

class CollectionError extends Error {
  constructor(message, code) {
    super(message);
    this.name = 'CollectionError';
    this.code = code;
  }
}

function ask(method, path, body) {
  const socketPath = process.env.SAMOVAR_COLLECTIONS_DOOR;
  if (!socketPath) {
    return Promise.reject(new CollectionError('this function may see no collections', 'NoSuchCollection'));
  }
  const text = body === undefined ? '' : JSON.stringify(body);
  return new Promise((resolve, reject) => {
    const fail = (error) => reject(new CollectionError(`the server did not answer: ${error.message}`, 'Unavailable'));
    const headers = { 'Content-Type': 'application/json', 'Content-Length': Buffer.byteLength(text) };
    const options = { socketPath, method, path: `/samovar/v1/collections/${path}`, headers, agent: false };
    const request = http.request({ ...options, timeout: PATIENCE_MS }, (response) => {
      const pieces = [];
      response.on('data', (piece) => pieces.push(piece));
      response.on('error', fail);
      response.on('end', () => {
        let answer;
        try {
          answer = JSON.parse(Buffer.concat(pieces).toString());
        } catch (error) {
          fail(error);
          return;
        }
        if (response.statusCode < 300) resolve(answer);
        else reject(new CollectionError(answer.error, answer.code));
      });
    });
    request.on('timeout', () => request.destroy(new Error('it took too long')));
    request.on('error', fail);
    request.end(text);
  });
}

// As the server takes it: base64 of f32, little-endian.
function packed(vector) {
  if (!Array.isArray(vector) && !ArrayBuffer.isView(vector)) {
    throw new CollectionError('vector: expected an array of numbers', 'Invalid');
  }
  const bytes = Buffer.alloc(4 * vector.length);
  for (let i = 0; i < vector.length; i += 1) {
    if (typeof vector[i] !== 'number') {
      throw new CollectionError('vector: expected numbers', 'Invalid');
    }
    bytes.writeFloatLE(vector[i], 4 * i);
  }
  return bytes.toString('base64');
}

class Collection {
  constructor(name) {
    this.name = name;
    this.path = encodeURIComponent(name);
  }

  // { name, dimension, metric, storage, stats: { generation, rows, ... } }
  describe() {
    return ask('GET', this.path);
  }

  // The k nearest rows, best first. minGeneration: of a write whose effect must be seen.
  async search(vector, { k = 10, filter, minGeneration } = {}) {
    const body = { vector: packed(vector), k, filter, min_generation: minGeneration };
    return (await ask('POST', `${this.path}/search`, body)).hits;
  }

  // The row, or null.
  async get(id, { minGeneration } = {}) {
    const answer = await ask('POST', `${this.path}/get`, { ids: [id], min_generation: minGeneration });
    return answer.rows[0] ?? null;
  }

  // Makes all changes or none: [{ op: 'put', id, vector, attributes }, { op: 'update', id, attributes },
  // { op: 'delete', id }]. Answers an ack once they are on disk and every reader sees them.
  async batch(changes) {
    const asked = changes.map((change) => (change.vector ? { ...change, vector: packed(change.vector) } : change));
    return ask('POST', `${this.path}/batch`, { changes: asked });
  }

  put(id, vector, attributes) {
    return this.batch([{ op: 'put', id, vector, attributes }]);
  }

  update(id, attributes) {
    return this.batch([{ op: 'update', id, attributes }]);
  }

  delete(id) {
    return this.batch([{ op: 'delete', id }]);
  }
}

module.exports = { Collection, CollectionError, collection: (name) => new Collection(name) };
