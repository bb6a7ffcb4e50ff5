// Errors in Lambda's forms (Source: npm aws-lambda-ric, Errors.js).

'use strict';

const util = require('node:util');

function looksLikeError(thing) {
  return (
    thing &&
    typeof thing.name === 'string' &&
    typeof thing.message === 'string' &&
    typeof thing.stack === 'string'
  );
}

function intoError(thing) {
  return thing instanceof Error ? thing : new Error(thing);
}

// The error document of an answer: errorType, errorMessage, trace.
function describe(error) {
  try {
    if (util.types.isNativeError(error) || looksLikeError(error)) {
      return {
        errorType: error.name?.replace(/\x7F/g, '%7F'),
        errorMessage: error.message?.replace(/\x7F/g, '%7F'),
        trace: error.stack.replace(/\x7F/g, '%7F').split('\n'),
      };
    }
    return { errorType: typeof error, errorMessage: error.toString(), trace: [] };
  } catch {
    return {
      errorType: 'handled',
      errorMessage:
        'callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack',
    };
  }
}

function withMembers(_key, value) {
  if (!(value instanceof Error)) return value;
  const members = { errorType: value.name, errorMessage: value.message, code: value.code, ...value };
  if (typeof value.stack === 'string') members.stack = value.stack.split('\n');
  return members;
}

// An error as the log shows it: all its members, its stack as a list.
function forLog(error) {
  try {
    return '\t' + JSON.stringify(error, withMembers);
  } catch {
    return '\t' + JSON.stringify(describe(error));
  }
}

class UnhandledPromiseRejection extends Error {
  constructor(reason, promise) {
    super(reason);
    this.reason = reason;
    this.promise = promise;
  }
}

const errors = {
  ImportModuleError: class ImportModuleError extends Error {},
  HandlerNotFound: class HandlerNotFound extends Error {},
  MalformedHandlerName: class MalformedHandlerName extends Error {},
  UserCodeSyntaxError: class UserCodeSyntaxError extends Error {},
  MalformedStreamingHandler: class MalformedStreamingHandler extends Error {},
  InvalidStreamingOperation: class InvalidStreamingOperation extends Error {},
  UnhandledPromiseRejection,
};
for (const [name, type] of Object.entries(errors)) type.prototype.name = `Runtime.${name}`;

module.exports = { describe, errors, forLog, intoError };
