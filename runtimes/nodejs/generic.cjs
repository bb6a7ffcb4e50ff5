// A process that has booted before anybody knows for which function, and takes one in when told.
//
// Why      Most of a Node.js start is Node.js itself (docs/decisions/2026-11-25-node-starts.md).
// How      Descriptor 4 is a packet socket on which one message comes:
//            {"take": {"env": ["NAME=value", ...], "cwd": "/var/task"}}
//          By then the function's files and its own /tmp are there. What is started so has its
//          random state to itself, as it is no copy of anything.
// Errors   Without a message, or after one that makes no sense, the process ends.

'use strict';

const fs = require('node:fs');
const Module = require('node:module');

const CONTROL = 4;
const MOST = 1 << 20;

// What functions are likely to load: here it costs no caller anything.
const LIKELY = ['async_hooks', 'crypto', 'events', 'http', 'https', 'net', 'os', 'path', 'stream', 'timers/promises',
  'tls', 'url', 'util', 'worker_threads', 'zlib'];

function takeIn() {
  for (const name of LIKELY) require(`node:${name}`);
  const buffer = Buffer.allocUnsafe(MOST);
  const got = fs.readSync(CONTROL, buffer, 0, MOST, null);
  if (got <= 0) process.exit(0);
  const { env, cwd } = JSON.parse(buffer.toString('utf8', 0, got)).take;
  fs.closeSync(CONTROL);
  for (const name of Object.keys(process.env)) delete process.env[name];
  for (const entry of env) {
    const equals = entry.indexOf('=');
    process.env[entry.slice(0, equals)] = entry.slice(equals + 1);
  }
  process.chdir(cwd);
  Module._initPaths(); // NODE_PATH, which is read at the start
}

module.exports = { takeIn };
