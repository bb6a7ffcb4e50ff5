// Samovar's Node.js runtime: the process inside a sandbox that runs a Node.js function.
//
// Why      Faster than the Lambda Runtime API over HTTP: one read and one write a call.
// How      Speaks docs/formats/channel.md over descriptor 3. What a handler sees and what its errors
//          look like is AWS's own runtime client's (npm aws-lambda-ric).
// Errors   A fault of the user's code is an ERROR or INIT_ERROR frame with a line in the log; an
//          exception that nothing catches is answered, then the process ends, as on Lambda.
// Units    Deadlines are Unix milliseconds.
// Needs    Node.js 20 or newer and nothing else.

import fs from "node:fs";
import { createRequire } from "node:module";
import net from "node:net";
import path from "node:path";
import { Writable } from "node:stream";
import { pathToFileURL } from "node:url";
import util from "node:util";

const CHANNEL = 3;
const INVOKE = 1;
const SHUTDOWN = 2;
const READY = 16;
const INIT_ERROR = 17;
const RESPONSE = 18;
const ERROR = 19;
const STREAM_BEGIN = 20;
const STREAM_CHUNK = 21;
const STREAM_END = 22;
const STREAMING = Symbol.for("aws.lambda.runtime.handler.streaming");
const HIGH_WATER_MARK = Symbol.for("aws.lambda.runtime.handler.streaming.highWaterMark");
const PRELUDE_TYPE = "application/vnd.awslambda.http-integration-response";
const env = process.env;
const jsonLogs = (env.AWS_LAMBDA_LOG_FORMAT ?? "").toUpperCase() === "JSON";
const require = createRequire(import.meta.url);

let requestId; // of the invocation that runs; undefined during initialisation

// ---- the channel ---------------------------------------------------------------------------------

const socket = new net.Socket({ fd: CHANNEL, readable: true, writable: true });

function frame(type, meta, payload) {
  const metaLength = Buffer.byteLength(meta);
  const out = Buffer.allocUnsafe(8 + metaLength + payload.length);
  out.writeUInt32LE(4 + metaLength + payload.length, 0);
  out[4] = type;
  out[5] = 0;
  out.writeUInt16LE(metaLength, 6);
  out.write(meta, 8);
  if (typeof payload === "string") out.write(payload, 8 + metaLength, "latin1");
  else payload.copy(out, 8 + metaLength);
  return out;
}

const NOTHING = Buffer.alloc(0);

// Returns false while the server is slower than we are.
function send(type, meta = "", payload = NOTHING) {
  return socket.write(frame(type, meta, payload));
}

// For what is said right before the end: returns when the server's socket has it.
function sendNow(type, meta, payload) {
  let rest = frame(type, meta, payload);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(CHANNEL, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") return;
    }
  }
}

let kept = NOTHING;

// Calls `on` for each whole frame; pieces of one are kept until the rest comes.
function feed(data, on) {
  kept = kept.length === 0 ? data : Buffer.concat([kept, data]);
  while (kept.length >= 8) {
    const end = 4 + kept.readUInt32LE(0);
    if (kept.length < end) {
      if (end > 65536) return gather(end, on);
      return;
    }
    const meta = 8 + kept.readUInt16LE(6);
    const whole = kept;
    kept = kept.subarray(end);
    on(whole[4], whole.toString("utf8", 8, meta), whole.subarray(meta, end));
  }
}

// A large frame is filled in place: joining buffers for each piece would cost their square.
function gather(size, on) {
  const whole = Buffer.allocUnsafe(size);
  let have = kept.copy(whole);
  kept = NOTHING;
  socket.removeAllListeners("data");
  socket.on("data", (data) => {
    const taken = data.copy(whole, have);
    have += taken;
    if (have < size) return;
    socket.removeAllListeners("data");
    socket.on("data", (more) => feed(more, on));
    feed(whole, on);
    if (taken < data.length) feed(data.subarray(taken), on);
  });
}

// ---- logging -------------------------------------------------------------------------------------

const LEVELS = { TRACE: 0, DEBUG: 1, INFO: 2, WARN: 3, ERROR: 4, FATAL: 5 };
const minimum = LEVELS[(env.AWS_LAMBDA_LOG_LEVEL ?? "").toUpperCase()] ?? 0;

// Synchronous, so that a line is in the log before the answer that follows it.
function write(text) {
  let rest = Buffer.from(text);
  while (rest.length > 0) {
    try {
      rest = rest.subarray(fs.writeSync(1, rest));
    } catch (error) {
      if (error.code !== "EAGAIN") return;
    }
  }
}

function errorMembers(error) {
  return {
    errorType: error?.name ?? "UnknownError",
    errorMessage: error?.message ?? "",
    stackTrace: typeof error?.stack === "string" ? error.stack.split("\n") : [],
  };
}

function logLine(level, args) {
  if (LEVELS[level] < minimum) return;
  const timestamp = new Date().toISOString();
  if (!jsonLogs) {
    write(`${timestamp}\t${requestId ?? "undefined"}\t${level}\t${util.format(...args)}\n`);
    return;
  }
  const line = { timestamp, level, requestId };
  if (args.length === 1 && args[0] instanceof Error) {
    Object.assign(line, { message: args[0].message }, errorMembers(args[0]));
  } else {
    line.message = args.length === 1 && typeof args[0] === "object" ? args[0] : util.format(...args);
    const error = args.find((arg) => arg instanceof Error);
    if (error) Object.assign(line, errorMembers(error));
  }
  let text;
  try {
    text = JSON.stringify(line);
  } catch {
    text = JSON.stringify({ ...line, message: util.format(...args) });
  }
  write(`${text}\n`);
}

function setUpLogging() {
  const kinds = { log: "INFO", info: "INFO", debug: "DEBUG", warn: "WARN", error: "ERROR", trace: "TRACE" };
  for (const [name, level] of Object.entries(kinds)) {
    console[name] = (...args) => logLine(level, args);
  }
  console.fatal = (...args) => logLine("FATAL", args);
}

// ---- errors --------------------------------------------------------------------------------------

function fault(name, message, stack) {
  const error = new Error(message);
  error.name = name;
  if (stack) error.stack = stack;
  return error;
}

// Lambda's error document: errorType, errorMessage, trace.
function describe(error) {
  try {
    if (util.types.isNativeError(error) || error instanceof Error) {
      return {
        errorType: error.name?.replaceAll("\x7F", "%7F"),
        errorMessage: error.message?.replaceAll("\x7F", "%7F"),
        trace: (error.stack ?? "").replaceAll("\x7F", "%7F").split("\n"),
      };
    }
    return { errorType: typeof error, errorMessage: String(error), trace: [] };
  } catch {
    return { errorType: "handled", errorMessage: "callback called with Error argument, but there was a problem while retrieving one or more of its message, name, and stack" };
  }
}

// The log's own form of an error: all its members, trace as stack.
function logError(title, error) {
  const { errorType, errorMessage, trace } = describe(error);
  const extra = error !== null && typeof error === "object" ? error : {};
  const document = { errorType, errorMessage, ...extra, stack: trace };
  if (jsonLogs) logLine("ERROR", [error instanceof Error ? error : document]);
  else logLine("ERROR", [title, `\t${JSON.stringify(document)}`].map((part) => part.trim()));
}

function body(value) {
  return Buffer.from(JSON.stringify(value));
}

// ---- the handler ---------------------------------------------------------------------------------

async function load(root, folder, name) {
  const file = path.resolve(root, folder, name);
  for (const extension of ["", ".js", ".mjs", ".cjs"]) {
    if (fs.existsSync(file + extension) && fs.statSync(file + extension).isFile()) {
      return import(pathToFileURL(file + extension).href);
    }
  }
  const found = require.resolve(name, { paths: [root, path.join(root, folder)] });
  return require(found);
}

async function findHandler(root, full) {
  if (full.includes("..")) {
    throw fault(
      "Runtime.MalformedHandlerName",
      `'${full}' is not a valid handler name. Use absolute paths when specifying root directories in handler names.`,
    );
  }
  const base = path.basename(full);
  const folder = full.slice(0, full.indexOf(base));
  const match = base.match(/^([^.]*)\.(.*)$/);
  if (!match) throw fault("Runtime.MalformedHandlerName", "Bad handler");
  const [, name, exported] = match;
  let module;
  try {
    module = await load(root, folder, name);
  } catch (error) {
    if (error instanceof SyntaxError) {
      throw fault("Runtime.UserCodeSyntaxError", String(error), error.stack);
    }
    if (error?.code === "MODULE_NOT_FOUND" || error?.code === "ERR_MODULE_NOT_FOUND") {
      throw fault("Runtime.ImportModuleError", String(error), error.stack);
    }
    throw error;
  }
  const within = (object) =>
    exported.split(".").reduce((inner, key) => (inner && typeof inner === "object" ? inner[key] : undefined), object);
  let handler = within(module);
  if (!handler && module && typeof module === "object" && "default" in module) {
    handler = within(module.default);
  }
  if (!handler) throw fault("Runtime.HandlerNotFound", `${full} is undefined or not exported`);
  if (typeof handler !== "function") {
    throw fault("Runtime.HandlerNotFound", `${full} is not a function`);
  }
  return handler;
}

// ---- streamed answers ----------------------------------------------------------------------------

// What a streaming handler writes to: each piece becomes a STREAM_CHUNK.
class ResponseStream extends Writable {
  #begun = false;
  #contentType = "application/octet-stream";

  setContentType(contentType) {
    if (this.#begun) {
      throw fault("Runtime.InvalidStreamingOperation", "Cannot set content-type, too late.");
    }
    this.#contentType = contentType;
  }

  write(chunk, ...rest) {
    const plain = typeof chunk === "string" || chunk instanceof Uint8Array;
    if (!this.#begun && typeof this._onBeforeFirstWrite === "function") {
      const before = this._onBeforeFirstWrite;
      this._onBeforeFirstWrite = undefined;
      before((first) => super.write(first));
    }
    return super.write(plain ? chunk : JSON.stringify(chunk), ...rest);
  }

  begin() {
    if (!this.#begun) send(STREAM_BEGIN, this.#contentType);
    this.#begun = true;
  }

  get begun() {
    return this.#begun;
  }

  _write(chunk, encoding, done) {
    this.begin();
    if (chunk.length === 0) return done();
    if (send(STREAM_CHUNK, "", Buffer.isBuffer(chunk) ? chunk : Buffer.from(chunk))) done();
    else socket.once("drain", done);
  }

  _final(done) {
    this.begin();
    done();
  }
}

function setUpGlobals() {
  globalThis.awslambda = globalThis.awslambda ?? {};
  globalThis.awslambda.streamifyResponse = (handler, options) => {
    handler[STREAMING] = "response";
    if (options?.highWaterMark !== undefined) {
      handler[HIGH_WATER_MARK] = parseInt(options.highWaterMark, 10);
    }
    return handler;
  };
  globalThis.awslambda.HttpResponseStream = class HttpResponseStream {
    static from(stream, prelude) {
      stream.setContentType(PRELUDE_TYPE);
      const text = JSON.stringify(prelude);
      stream._onBeforeFirstWrite = (first) => {
        first(text);
        first(new Uint8Array(8));
      };
      return stream;
    }
  };
}

// ---- invocations ---------------------------------------------------------------------------------

function parsed(what, text) {
  if (!text) return undefined;
  try {
    return JSON.parse(text);
  } catch (error) {
    throw fault("Runtime.PlatformError", `Failed to parse ${what} as JSON: ${error.message}`);
  }
}

function makeContext(fields) {
  const [id, deadline, arn, , clientContext, identity, , tenantId] = fields;
  const end = Number(deadline);
  return {
    callbackWaitsForEmptyEventLoop: true,
    functionName: env.AWS_LAMBDA_FUNCTION_NAME,
    functionVersion: env.AWS_LAMBDA_FUNCTION_VERSION,
    memoryLimitInMB: env.AWS_LAMBDA_FUNCTION_MEMORY_SIZE,
    logGroupName: env.AWS_LAMBDA_LOG_GROUP_NAME,
    logStreamName: env.AWS_LAMBDA_LOG_STREAM_NAME,
    clientContext: parsed("lambda-runtime-client-context", clientContext),
    identity: parsed("lambda-runtime-cognito-identity", identity),
    invokedFunctionArn: arn,
    awsRequestId: id,
    tenantId: tenantId || undefined,
    getRemainingTimeInMillis: () => end - Date.now(),
  };
}

let answered = true; // whether the invocation that runs has had its answer
let whenIdle; // an answer that waits for an empty event loop

function answer(type, meta, payload) {
  if (answered) return;
  answered = true;
  whenIdle = undefined;
  socket.ref();
  send(type, meta, payload);
}

function answerError(error) {
  if (answered) return;
  logError("Invoke Error", error);
  const document = describe(error);
  answer(ERROR, document.errorType ?? "Error", body(document));
}

function answerValue(value) {
  let text;
  try {
    text = JSON.stringify(value === undefined ? null : value) ?? "null";
  } catch {
    answerError(fault("Runtime.JSONStringifyError", "Unable to stringify response body"));
    return;
  }
  answer(RESPONSE, "", Buffer.from(text));
}

// A callback's answer goes out once nothing is left to do, unless the handler says not to wait.
function callbackFor(context) {
  return (error, value) => {
    const finish = () => (error !== undefined && error !== null ? answerError(error) : answerValue(value));
    if (!context.callbackWaitsForEmptyEventLoop) {
      setImmediate(finish);
    } else if (!answered && whenIdle === undefined) {
      whenIdle = finish;
      socket.unref();
    }
  };
}

// Node asks here when its event loop has run dry: an unanswered handler has given up.
process.on("beforeExit", () => {
  socket.ref();
  if (whenIdle !== undefined) {
    const finish = whenIdle;
    whenIdle = undefined;
    finish();
  } else if (!answered) {
    answerValue(null);
  }
  // Something must be pending, or the process would end here.
  setImmediate(() => {});
});

async function runStreaming(handler, event, context) {
  const stream = new ResponseStream({ highWaterMark: handler[HIGH_WATER_MARK] ?? 65536 });
  const closed = new Promise((resolve, reject) => stream.once("finish", resolve).once("error", reject));
  closed.catch(() => {});
  try {
    await handler(event, stream, context);
    if (!stream.writableEnded) stream.end();
    await closed;
    answered = true;
    send(STREAM_END);
  } catch (error) {
    if (!stream.begun) {
      answerError(error);
      return;
    }
    logError("Invoke Error", error);
    const document = describe(error);
    answered = true;
    send(STREAM_END, document.errorType ?? "Error", body(document));
  }
}

async function run(handler, meta, payload) {
  const fields = meta.split("\0");
  requestId = fields[0];
  answered = false;
  if (fields[3]) env._X_AMZN_TRACE_ID = fields[3];
  else delete env._X_AMZN_TRACE_ID;
  try {
    const context = makeContext(fields);
    let event;
    try {
      event = JSON.parse(payload.toString("utf8"));
    } catch (error) {
      throw fault("Runtime.UnmarshalError", `Unable to unmarshal input: ${error.message}`);
    }
    if (handler[STREAMING] !== undefined) {
      await runStreaming(handler, event, context);
      return;
    }
    const callback = callbackFor(context);
    context.done = callback;
    context.succeed = (value) => callback(null, value);
    context.fail = (error) => callback(error ?? new Error("handled"));
    const result = handler(event, context, callback);
    if (typeof result?.then === "function") answerValue(await result);
    else if (!answered) socket.unref(); // a callback answers, or beforeExit does
  } catch (error) {
    answerError(error);
  } finally {
    if (answered) socket.ref();
  }
}

// ---- the life of the process ---------------------------------------------------------------------

function die(title, error) {
  logError(title, error);
  const document = describe(error);
  if (!answered) {
    sendNow(ERROR, document.errorType ?? "Error", body(document));
  } else if (requestId === undefined) {
    sendNow(INIT_ERROR, document.errorType ?? "Error", body(document));
  }
  process.exit(128 + 1);
}

process.on("uncaughtException", (error) => die("Uncaught Exception", error));
process.on("unhandledRejection", (reason) => {
  const error = fault("Runtime.UnhandledPromiseRejection", String(reason));
  error.reason = reason;
  die("Unhandled Promise Rejection", error);
});

async function main() {
  setUpLogging();
  setUpGlobals();
  let handler;
  try {
    handler = await findHandler(env.LAMBDA_TASK_ROOT ?? "/var/task", env._HANDLER ?? "");
  } catch (error) {
    logError(error?.name?.startsWith("Runtime.") ? "Uncaught Exception" : "Init Error", error);
    const document = describe(error);
    sendNow(INIT_ERROR, document.errorType ?? "Error", body(document));
    process.exit(1);
  }
  socket.on("data", (data) =>
    feed(data, (type, meta, payload) => {
      if (type === INVOKE) void run(handler, meta, payload);
      else process.exit(type === SHUTDOWN ? 0 : 1);
    }),
  );
  socket.on("end", () => process.exit(0));
  socket.on("error", () => process.exit(1));
  send(READY, `nodejs${process.versions.node}`);
}

await main();
