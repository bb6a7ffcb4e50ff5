// What callers hand over, checked: an argument that would mean something else than it says (a text
// for a number, NaN in attributes, an option that there is not) is named and nothing is done.

'use strict';

const { CollectionError } = require('./errors.js');

function wrong(message) {
  return new CollectionError(message, 'Invalid');
}

function kindOf(value) {
  return value === null ? 'null' : typeof value;
}

// Options of which only `known` may be there: { name: what checks and answers a value, ... }
exports.options = function options(given, known) {
  if (given === undefined) return {};
  if (typeof given !== 'object' || given === null) throw wrong(`options: expected an object, got ${kindOf(given)}`);
  const out = {};
  for (const [name, value] of Object.entries(given)) {
    if (!Object.hasOwn(known, name)) throw wrong(`${name}: there is no such option; there are ${Object.keys(known).join(', ')}`);
    if (value !== undefined) out[name] = known[name](value, name);
  }
  return out;
};

exports.whole = function whole(least, most) {
  return (value, name) => {
    if (Number.isInteger(value) && value >= least && value <= most) return value;
    throw wrong(`${name}: expected a number from ${least} to ${most}`);
  };
};

exports.truth = function truth(value, name) {
  if (typeof value === 'boolean') return value;
  throw wrong(`${name}: expected true or false`);
};

exports.text = function text(value, name) {
  if (typeof value === 'string') return value;
  throw wrong(`${name}: expected text, got ${kindOf(value)}`);
};

exports.plain = function plain(value) {
  return value;
};

const PLAIN = ['Object', 'Array', 'String', 'Number', 'Boolean'];

// What JSON has no form for, and JSON.stringify leaves out or makes {} of; undefined where it has one.
function unfit(value) {
  if (typeof value === 'number') return Number.isFinite(value) ? undefined : String(value);
  if (typeof value === 'bigint') return 'a BigInt';
  if (typeof value === 'function' || typeof value === 'symbol') return `a ${typeof value}`;
  if (typeof value !== 'object' || value === null) return undefined;
  const kind = Object.prototype.toString.call(value).slice(8, -1);
  return PLAIN.includes(kind) ? undefined : `a ${kind}`;
}

// As JSON.
exports.json = function json(value, what) {
  try {
    return JSON.stringify(value, (key, inner) => {
      const found = unfit(inner);
      if (found) throw wrong(`${what}: ${key}${key === '' ? '' : ': '}${found} is not JSON`);
      return inner;
    });
  } catch (error) {
    if (error instanceof CollectionError) throw error;
    throw wrong(`${what}: ${error.message.split('\n')[0]}`); // it holds itself, or its toJSON threw
  }
};
