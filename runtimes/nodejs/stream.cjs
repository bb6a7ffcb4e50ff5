// Streamed answers: what a streaming handler writes to, and the global `awslambda`.
//
// Source   npm aws-lambda-ric, ResponseStream.js and HttpResponseStream.js.

'use strict';

const { types, send, sendLater } = require('./channel.cjs');
const { errors } = require('./errors.cjs');

const STREAMING = Symbol.for('aws.lambda.runtime.handler.streaming');
const HIGH_WATER_MARK = Symbol.for('aws.lambda.runtime.handler.streaming.highWaterMark');
const PRELUDE_TYPE = 'application/vnd.awslambda.http-integration-response';

// Defined at the first use: node:stream is slow to load, and most handlers do not stream.
let type;
function define() {
  const { Writable } = require('node:stream');
  // Each piece that is written becomes a STREAM_CHUNK.
  return class ResponseStream extends Writable {
    #contentType = 'application/octet-stream';
    #called = false; // whether write() was
    #writing = false;
    #whenSettled = [];
    #over = false; // the answer has ended: what is written now goes nowhere
    begun = false;

    setContentType(contentType) {
      if (this.#called) {
        throw new errors.InvalidStreamingOperation('Cannot set content-type, too late.');
      }
      this.#contentType = String(contentType);
    }

    write(chunk, encoding, callback) {
      const plain = typeof chunk === 'string' || chunk instanceof Uint8Array;
      this.#writePrelude();
      this.#called = true;
      return super.write(plain ? chunk : JSON.stringify(chunk), encoding, callback);
    }

    end(chunk, encoding, callback) {
      if (typeof chunk === 'function') return this.end(undefined, undefined, chunk);
      if (chunk !== undefined && chunk !== null) this.write(chunk, encoding);
      else if (!this.writableEnded) this.#writePrelude();
      this.#called = true;
      return super.end(typeof encoding === 'function' ? encoding : callback);
    }

    // What HttpResponseStream.from() has put before the first piece.
    #writePrelude() {
      const before = this._onBeforeFirstWrite;
      if (this.#called || typeof before !== 'function') return;
      this._onBeforeFirstWrite = undefined;
      before((first) => super.write(first));
    }

    #begin() {
      if (this.begun) return;
      this.begun = true;
      ResponseStream.open = true;
      send(types.STREAM_BEGIN, this.#contentType, '');
    }

    _write(chunk, _encoding, done) {
      if (this.#over) return done();
      this.#begin();
      if (chunk.length === 0) return done();
      this.#writing = true;
      sendLater(types.STREAM_CHUNK, '', chunk, () => {
        this.#writing = false;
        done();
        this.#settle();
      });
    }

    _final(done) {
      if (!this.#over) this.#begin();
      done();
    }

    #settle() {
      if (this.#writing || (this.writableLength > 0 && !this.destroyed)) return;
      for (const act of this.#whenSettled.splice(0)) act();
    }

    // When what was written so far is with the server.
    settled() {
      while (this.writableCorked > 0) this.uncork();
      return new Promise((resolve) => {
        this.#whenSettled.push(resolve);
        this.#settle();
      });
    }

    // The answer ends here.
    close() {
      this.#over = true;
    }
  };
}

// A new stream. `ResponseStream.open` tells whether the last one has begun.
function ResponseStream(options) {
  type ??= define();
  type.open = false;
  return new type(options);
}
Object.defineProperty(ResponseStream, 'open', { get: () => type?.open ?? false });

class HttpResponseStream {
  static from(stream, prelude) {
    stream.setContentType(PRELUDE_TYPE);
    const text = JSON.stringify(prelude);
    stream._onBeforeFirstWrite = (write) => {
      write(text);
      write(new Uint8Array(8));
    };
    return stream;
  }
}

function setUpGlobals() {
  if (['1', 'true'].includes(process.env.AWS_LAMBDA_NODEJS_NO_GLOBAL_AWSLAMBDA)) return;
  globalThis.awslambda = {
    ...globalThis.awslambda,
    streamifyResponse: (handler, options) => {
      handler[STREAMING] = 'response';
      if (typeof options?.highWaterMark === 'number') {
        handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark, 10);
      }
      return handler;
    },
    HttpResponseStream,
  };
}

module.exports = { HIGH_WATER_MARK, STREAMING, ResponseStream, setUpGlobals };
