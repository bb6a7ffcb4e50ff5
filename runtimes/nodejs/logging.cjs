// console.* in the forms of Lambda's log (Source: npm aws-lambda-ric, LogPatch.js).
//
// How      Lines are written at once, so that all of a call's are in the log before its answer.

'use strict';

const fs = require('node:fs');
const util = require('node:util');

const { persistent } = require('./channel.cjs');
const { forLog, intoError } = require('./errors.cjs');

const LEVELS = { TRACE: 1, DEBUG: 2, INFO: 3, WARN: 4, ERROR: 5, FATAL: 6 };
const json = (process.env.AWS_LAMBDA_LOG_FORMAT ?? '').toUpperCase() === 'JSON';
const minimum = LEVELS[(process.env.AWS_LAMBDA_LOG_LEVEL ?? '').toUpperCase()] ?? LEVELS.TRACE;
const call = { requestId: undefined, tenantId: undefined }; // the one that runs

function write(text) {
  const bytes = Buffer.from(text);
  let sent = 0;
  while (sent < bytes.length) {
    const wrote = persistent(() => fs.writeSync(1, bytes, sent));
    if (wrote <= 0) return; // nobody keeps the log any more
    sent += wrote;
  }
}

function errorMembers(error) {
  return {
    errorType: error?.constructor?.name ?? 'UnknownError',
    errorMessage: error.message,
    stackTrace: typeof error.stack === 'string' ? error.stack.split('\n') : error.stack,
  };
}

function errorReplacer(_key, value) {
  return value instanceof Error ? { ...errorMembers(value), ...value } : value;
}

function jsonLine(timestamp, level, params) {
  const line = { timestamp, level, requestId: call.requestId };
  if (call.tenantId !== undefined) line.tenantId = call.tenantId;
  if (params.length === 1) {
    line.message = params[0];
    try {
      return JSON.stringify(line, errorReplacer);
    } catch {
      line.message = util.format(line.message);
      return JSON.stringify(line);
    }
  }
  line.message = util.format(...params);
  const error = params.find((param) => param instanceof Error);
  if (error) {
    Object.assign(line, errorMembers(error));
    if (!Array.isArray(line.stackTrace)) line.stackTrace = [];
  }
  return JSON.stringify(line);
}

function logger(level) {
  if (LEVELS[level] < minimum && level !== 'FATAL') return () => {};
  return (message, ...params) => {
    const time = new Date().toISOString();
    if (json) write(`${jsonLine(time, level, [message, ...params])}\n`);
    else write(`${time}\t${call.requestId}\t${level}\t${util.format(message, ...params)}\n`);
  };
}

function setUpLogging() {
  for (const level of Object.keys(LEVELS)) console[level.toLowerCase()] = logger(level);
  console.log = console.info;
}

function logError(title, error) {
  if (json) console.error(intoError(error));
  else console.error(title, forLog(intoError(error)));
}

module.exports = { call, logError, setUpLogging };
