// Samovar's Node.js runtime: the process inside a sandbox that runs a Node.js function.
//
// Why      Faster than the Lambda Runtime API over HTTP: one read and one write a call.
// How      Speaks docs/formats/channel.md over descriptor 3. What a handler sees and what its errors
//          look like is AWS's own runtime client's (npm aws-lambda-ric, 3.3); our tests restate it.
//          As there, the wait for the next event blocks the event loop: what a handler left
//          behind goes on during the next call, and costs nothing between calls.
// Errors   A fault of the user's code is an ERROR or INIT_ERROR frame with a line in the log; an
//          exception that nothing catches is answered, then the process ends, as on Lambda.
// Units    Deadlines are Unix milliseconds.
// Needs    Node.js 20 or newer and nothing else.

'use strict';

const { types, frame, next, send } = require('./channel.cjs');
const { describe, errors } = require('./errors.cjs');
const { findHandler, metadataOf } = require('./handler.cjs');
const { ResponseStream, setUpGlobals } = require('./stream.cjs');

// Before the first look at the environment.
if (process.env.SAMOVAR_GENERIC === '1') require('./generic.cjs').takeIn();

const { call, logError, setUpLogging } = require('./logging.cjs');

const env = process.env;
// Reading the environment is slow in Node.js, and these do not change.
const FIXED = {
  functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
  functionName: env.AWS_LAMBDA_FUNCTION_NAME,
  memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
  logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
  logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
};

let handler;
let streaming; // its options where it streams, else undefined
let answered = true; // whether the event that came last has its answer
let whenIdle = () => {}; // what happens once the event loop has run dry

// ---- answers -------------------------------------------------------------------------------------

function sendError(type, error) {
  const document = describe(error);
  send(type, String(document.errorType ?? 'Error').slice(0, 1024), JSON.stringify(document));
}

function sendValue(value) {
  let text;
  try {
    text = JSON.stringify(value === undefined ? null : value) ?? 'null';
  } catch {
    throw new Error('Unable to stringify response body');
  }
  answered = true;
  send(types.RESPONSE, '', text);
  setImmediate(takeNext);
}

function fail(error) {
  if (answered) return;
  answered = true;
  whenIdle = () => {};
  logError('Invoke Error', error);
  sendError(types.ERROR, error);
  setImmediate(takeNext);
}

function succeed(value) {
  if (answered) return;
  whenIdle = () => {};
  sendValue(value);
}

function isNothing(error) {
  return error === undefined || error === null;
}

// ---- the context ---------------------------------------------------------------------------------

function parsed(name, text) {
  if (text === '') return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw new Error(`Cannot parse ${name} as json: ${error.toString()}`);
  }
}

function makeContext([id, deadline, arn, , clientContext, identity, , tenantId]) {
  return {
    callbackWaitsForEmptyEventLoop: true,
    succeed: undefined,
    fail: undefined,
    done: undefined,
    ...FIXED,
    clientContext: parsed('ClientContext', clientContext),
    identity: parsed('CognitoIdentity', identity),
    invokedFunctionArn: arn,
    awsRequestId: id,
    tenantId: tenantId || undefined,
    getRemainingTimeInMillis: () => deadline - Date.now(),
  };
}

// The callback and the old functions of the context; of them all only the first call counts.
function addCallbacks(context) {
  const id = call.requestId;
  let called = false;
  const once = (act) => (...args) => {
    if (called || id !== call.requestId) return;
    act(...args); // it may throw, and then it does not count
    called = true;
  };
  const done = (error, value) => (isNothing(error) ? succeed(value) : fail(error));
  context.done = once(done);
  context.succeed = once((value) => succeed(value));
  context.fail = once((error) => fail(isNothing(error) ? 'handled' : error));
  return once((error, value) => {
    if (!isNothing(error) || !context.callbackWaitsForEmptyEventLoop) done(error, value);
    else {
      whenIdle = () => {
        try {
          succeed(value);
        } catch (unable) {
          fail(unable);
        }
      };
    }
  });
}

// ---- invocations ---------------------------------------------------------------------------------

function run(fields, payload) {
  whenIdle = () => succeed(null); // an unanswered handler has given up
  const context = makeContext(fields);
  const callback = addCallbacks(context);
  const event = JSON.parse(payload);
  const result = handler(event, context, callback);
  if (result && typeof result.then === 'function') {
    result.then(context.succeed, context.fail).catch(context.fail);
  }
}

async function runStreaming(fields, payload) {
  const stream = new ResponseStream(streaming);
  const notFinished = () => finish(new Error('Response stream is not finished.'));
  function finish(error) {
    if (answered) return;
    answered = true;
    whenIdle = () => {};
    stream.close();
    if (error === undefined) {
      send(types.STREAM_END, '', '');
    } else {
      logError('Invoke Error', error);
      sendError(stream.begun ? types.STREAM_END : types.ERROR, error);
    }
    setImmediate(takeNext);
  }
  whenIdle = notFinished;
  const closed = new Promise((resolve, reject) => {
    stream.once('finish', resolve);
    stream.once('error', reject);
  });
  closed.catch(() => {});
  try {
    const context = makeContext(fields);
    const promise = handler(JSON.parse(payload), stream, context);
    if (!promise || typeof promise.then !== 'function') {
      throw new Error('Streaming does not support non-async handlers.');
    }
    if ((await promise) !== undefined) console.warn('Streaming handlers ignore return values.');
    if (!stream.writableEnded && !stream.errored) {
      await stream.settled();
      notFinished();
      return;
    }
    await closed;
    finish();
  } catch (error) {
    await stream.settled();
    finish(error ?? new Error('handled'));
  }
}

// Waits for an event, which blocks, and begins to run it.
function takeNext() {
  const type = next();
  if (type === types.SHUTDOWN || type === undefined) process.exit(0);
  if (type !== types.INVOKE) process.exit(1);
  const fields = frame.meta.split('\0');
  call.requestId = fields[0];
  call.tenantId = fields[7] || undefined;
  answered = false;
  if (fields[3]) env._X_AMZN_TRACE_ID = fields[3];
  else delete env._X_AMZN_TRACE_ID;
  if (streaming) {
    void runStreaming(fields, frame.payload);
    return;
  }
  try {
    run(fields, frame.payload);
  } catch (error) {
    fail(isNothing(error) ? 'handled' : error);
  }
}

// ---- the life of the process ---------------------------------------------------------------------

let initialised = false;

function die(title, error, code) {
  logError(title, error);
  if (!initialised) sendError(types.INIT_ERROR, error);
  else if (!answered) sendError(ResponseStream.open ? types.STREAM_END : types.ERROR, error);
  process.exit(code);
}

process.on('uncaughtException', (error) => die('Uncaught Exception', error, 129));
process.on('unhandledRejection', (reason, promise) => {
  const error = new errors.UnhandledPromiseRejection(reason, promise);
  die('Unhandled Promise Rejection', error, 128);
});
process.on('beforeExit', () => {
  const act = whenIdle;
  whenIdle = () => {};
  if (initialised) setImmediate(act);
});

async function main() {
  setUpLogging();
  setUpGlobals();
  try {
    handler = await findHandler(env.LAMBDA_TASK_ROOT ?? '/var/task', env._HANDLER ?? '');
    streaming = metadataOf(handler);
  } catch (error) {
    die('Uncaught Exception', error, 1);
  }
  // A turn of the loop later, as a rejection of the start that nobody handles is told first.
  setImmediate(() => {
    initialised = true;
    send(types.READY, `nodejs${process.versions.node}`, '');
    takeNext();
  });
}

void main();
