// Asking the server about collections, over the socket that the sandbox has for that
// (SAMOVAR_COLLECTIONS_DOOR; docs/openapi/collections.yaml).

'use strict';

const http = require('node:http');

const { CollectionError, noneVisible } = require('./errors.js');

const PATIENCE_MS = 60000;

exports.ask = function ask(method, path, body) {
  const socketPath = process.env.SAMOVAR_COLLECTIONS_DOOR;
  if (!socketPath) return Promise.reject(noneVisible(decodeURIComponent(path.split('/')[0])));
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
};
