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

// As JSON, which has no NaN and no BigInt.
exports.json = function json(value, what) {
  return JSON.stringify(value, (key, inner) => {
    if (typeof inner === 'number' && !Number.isFinite(inner)) throw wrong(`${what}: ${key}: ${inner} is not JSON`);
    if (typeof inner === 'bigint') throw wrong(`${what}: ${key}: a BigInt is not JSON`);
    return inner;
  });
};
