// The channel (docs/formats/channel.md) on descriptor 3: reads that block, one write a frame.
//
// Why      Between calls there is nothing else to do, and a blocking read is the fastest wait.
// How      Small frames pass through two buffers that are kept; large ones get one of their size.
// Errors   A broken channel or a bad length ends the process.

'use strict';

const fs = require('node:fs');

const CHANNEL = 3;
const KEPT = 65536;
const MAX_FRAME = 256 << 20;
const types = {
  INVOKE: 1,
  SHUTDOWN: 2,
  READY: 16,
  INIT_ERROR: 17,
  RESPONSE: 18,
  ERROR: 19,
  STREAM_BEGIN: 20,
  STREAM_CHUNK: 21,
  STREAM_END: 22,
};

const input = Buffer.allocUnsafe(KEPT);
const output = Buffer.allocUnsafe(KEPT);
const frame = { meta: '', payload: '' }; // what next() read last, as text
const pause = new Int32Array(new SharedArrayBuffer(4));
let have = 0; // bytes in `input`

// Runs a system call again while the descriptor would block: somebody made it non-blocking.
function persistent(act) {
  for (;;) {
    try {
      return act();
    } catch (error) {
      if (error.code !== 'EAGAIN' && error.code !== 'EINTR') return -1;
      Atomics.wait(pause, 0, 0, 1);
    }
  }
}

function readInto(buffer, from, to) {
  const got = persistent(() => fs.readSync(CHANNEL, buffer, from, to - from, null));
  if (got <= 0) process.exit(0);
  return got;
}

// Reads one frame into `frame` and answers its type.
function next() {
  while (have < 8) have += readInto(input, have, KEPT);
  const end = 4 + input.readUInt32LE(0);
  const type = input[4];
  const meta = 8 + input.readUInt16LE(6);
  if (end < meta || end > MAX_FRAME) process.exit(1);
  let whole = input;
  if (end > KEPT) {
    whole = Buffer.allocUnsafe(end);
    input.copy(whole, 0, 0, have);
    while (have < end) have += readInto(whole, have, end);
    have = 0;
  } else {
    while (have < end) have += readInto(input, have, KEPT);
  }
  frame.meta = whole.toString('utf8', 8, meta);
  frame.payload = whole.toString('utf8', meta, end);
  if (whole === input) {
    have -= end;
    if (have > 0) input.copyWithin(0, end, end + have);
  }
  return type;
}

// A frame as bytes: [buffer, length]. `payload` is text or bytes.
function pack(type, meta, payload) {
  const text = typeof payload === 'string';
  let most = 8 + 3 * meta.length + (text ? 3 * payload.length : payload.length);
  let out = output;
  if (most > KEPT) {
    most = 8 + Buffer.byteLength(meta) + Buffer.byteLength(payload);
    out = Buffer.allocUnsafe(most);
  }
  const metaLength = meta === '' ? 0 : out.write(meta, 8);
  let end = 8 + metaLength;
  if (text) end += payload === '' ? 0 : out.write(payload, end);
  else {
    out.set(payload, end);
    end += payload.length;
  }
  out.writeUInt32LE(end - 4, 0);
  out[4] = type;
  out[5] = 0;
  out.writeUInt16LE(metaLength, 6);
  return [out, end];
}

function send(type, meta, payload) {
  const [out, end] = pack(type, meta, payload);
  let sent = 0;
  while (sent < end) {
    const wrote = persistent(() => fs.writeSync(CHANNEL, out, sent, end - sent));
    if (wrote <= 0) process.exit(1);
    sent += wrote;
  }
}

// The same off the event loop, which goes on while the server is slow; `done` follows.
function sendLater(type, meta, payload, done) {
  const [out, end] = pack(type, meta, payload);
  const bytes = out === output ? Buffer.from(out.subarray(0, end)) : out;
  const write = (sent) => {
    fs.write(CHANNEL, bytes, sent, end - sent, (error, wrote) => {
      if (error && error.code !== 'EAGAIN') process.exit(1);
      if (error) setTimeout(write, 1, sent);
      else if (sent + wrote < end) write(sent + wrote);
      else done();
    });
  };
  write(0);
}

module.exports = { types, frame, next, persistent, send, sendLater };
