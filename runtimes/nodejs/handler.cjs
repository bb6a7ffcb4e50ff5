// The function that `_HANDLER` names (Source: npm aws-lambda-ric, UserFunction.js).
//
// How      CommonJS by require, modules by import: NAME, NAME.js (by the nearest package.json), NAME.mjs,
//          NAME.cjs under the task's root, then as Node.js finds packages.

'use strict';

const fs = require('node:fs');
const path = require('node:path');
const { pathToFileURL } = require('node:url');

const { errors } = require('./errors.cjs');
const { HIGH_WATER_MARK, STREAMING } = require('./stream.cjs');

function isModuleFolder(folder) {
  for (let here = folder; !here.endsWith('/node_modules'); here = path.dirname(here)) {
    const file = path.join(here, 'package.json');
    if (fs.existsSync(file)) {
      try {
        return JSON.parse(fs.readFileSync(file))?.type === 'module';
      } catch (error) {
        console.warn(`${file} cannot be read, it will be ignored for ES module detection purposes.`, error);
        return false;
      }
    }
    if (here === '/') return false;
  }
  return false;
}

function isFile(file) {
  return fs.statSync(file, { throwIfNoEntry: false })?.isFile() ?? false;
}

async function load(root, folder, name) {
  const file = path.resolve(root, folder, name);
  if (isFile(file)) return require(file);
  if (isFile(`${file}.js`)) {
    if (!isModuleFolder(path.dirname(file))) return require(`${file}.js`);
    return import(pathToFileURL(`${file}.js`).href);
  }
  if (isFile(`${file}.mjs`)) return import(pathToFileURL(`${file}.mjs`).href);
  if (isFile(`${file}.cjs`)) return require(`${file}.cjs`);
  return require(require.resolve(name, { paths: [root, path.join(root, folder)] }));
}

async function loadOrFault(root, folder, name) {
  try {
    return await load(root, folder, name);
  } catch (error) {
    if (error instanceof SyntaxError) throw new errors.UserCodeSyntaxError(error);
    if (error?.code === 'MODULE_NOT_FOUND') throw new errors.ImportModuleError(error);
    throw error;
  }
}

function within(object, name) {
  return name.split('.').reduce((nested, key) => nested && nested[key], object);
}

async function findHandler(root, full) {
  if (full.includes('..')) {
    throw new errors.MalformedHandlerName(
      `'${full}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const base = path.basename(full);
  const folder = full.substring(0, full.indexOf(base));
  const match = base.match(/^([^.]*)\.(.*)$/);
  if (!match) throw new errors.MalformedHandlerName('Bad handler');
  const module = await loadOrFault(root, folder, match[1]);
  const handler = within(module, match[2]) ?? within(module?.default, match[2]);
  if (!handler) throw new errors.HandlerNotFound(`${full} is undefined or not exported`);
  if (typeof handler !== 'function') throw new errors.HandlerNotFound(`${full} is not a function`);
  return handler;
}

// The stream's options where the handler streams its answer, else undefined.
function metadataOf(handler) {
  const mark = handler[STREAMING];
  if (mark === undefined || mark === null || mark === false) return undefined;
  if (mark !== 'response') {
    throw new errors.MalformedStreamingHandler('Only response streaming is supported.');
  }
  const highWaterMark = parseInt(handler[HIGH_WATER_MARK], 10);
  return Number.isNaN(highWaterMark) ? {} : { highWaterMark };
}

module.exports = { findHandler, metadataOf };
