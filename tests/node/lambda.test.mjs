// The AWS SDK for JavaScript against a running server (AWS_ENDPOINT_URL). Run by tests/integration.
import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {after, before, test} from 'node:test';
import {deflateRawSync} from 'node:zlib';

import {
  CreateFunctionCommand, CreateFunctionUrlConfigCommand, DeleteFunctionCommand, GetFunctionCommand,
  InvokeCommand, InvokeWithResponseStreamCommand, LambdaClient, PublishVersionCommand,
  ResourceConflictException, ResourceNotFoundException, UpdateFunctionCodeCommand,
  paginateListFunctions, waitUntilFunctionActiveV2, waitUntilFunctionUpdatedV2,
} from '@aws-sdk/client-lambda';

const lambda = new LambdaClient({maxAttempts: 1});
const name = `sdk-${randomUUID().slice(0, 8)}`;
const Role = 'arn:aws:iam::000000000000:role/any';

function crc32(bytes) {
  let crc = ~0;
  for (const byte of bytes) {
    crc ^= byte;
    for (let i = 0; i < 8; i++) crc = (crc >>> 1) ^ (0xedb88320 & -(crc & 1));
  }
  return ~crc >>> 0;
}

// A zip of one file: local header, data, central directory, end.
function zip(file, text) {
  const data = Buffer.from(text), packed = deflateRawSync(data), path = Buffer.from(file);
  const common = Buffer.alloc(26);
  common.writeUInt16LE(20, 0);
  common.writeUInt16LE(8, 4);
  common.writeUInt16LE(0x21, 8);
  common.writeUInt32LE(crc32(data), 10);
  common.writeUInt32LE(packed.length, 14);
  common.writeUInt32LE(data.length, 18);
  common.writeUInt16LE(path.length, 22);
  const local = Buffer.concat([Buffer.from('PK\x03\x04'), common, path, packed]);
  const tail = Buffer.alloc(14);
  tail.writeUInt32LE((0o100644 << 16) >>> 0, 6);
  const central = Buffer.concat([Buffer.from('PK\x01\x02\x14\x03'), common, tail, path]);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(1, 4);
  end.writeUInt16LE(1, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(local.length, 12);
  return Buffer.concat([local, central, Buffer.from('PK\x05\x06'), end]);
}

const text = (bytes) => Buffer.from(bytes).toString();
const python = (body) => zip('app.py', body);

async function create(FunctionName, ZipFile, more = {}) {
  const made = await lambda.send(new CreateFunctionCommand({
    FunctionName, Role, Runtime: process.env.SAMOVAR_PYTHON, Handler: 'app.handler', Code: {ZipFile}, ...more}));
  await waitUntilFunctionActiveV2({client: lambda, maxWaitTime: 30, minDelay: 1}, {FunctionName});
  return made;
}

before(() => create(name, python('def handler(e, c):\n    return {"got": e}\n')));
after(() => lambda.send(new DeleteFunctionCommand({FunctionName: name})));

test('GetFunction answers what was created', async () => {
  const got = await lambda.send(new GetFunctionCommand({FunctionName: name}));
  assert.equal(got.Configuration.FunctionName, name);
  assert.equal(got.Configuration.State, 'Active');
  assert.ok(new Date(got.Configuration.LastModified).getTime() > Date.now() - 600_000);
});

test('Invoke answers the payload and the log', async () => {
  const reply = await lambda.send(new InvokeCommand(
      {FunctionName: name, Payload: JSON.stringify({a: 'ü'}), LogType: 'Tail'}));
  assert.equal(reply.StatusCode, 200);
  assert.equal(reply.FunctionError, undefined);
  assert.deepEqual(JSON.parse(text(reply.Payload)), {got: {a: 'ü'}});
  assert.match(Buffer.from(reply.LogResult, 'base64').toString(), /REPORT RequestId/);
});

test('Event and DryRun have their own status', async () => {
  const event = await lambda.send(new InvokeCommand({FunctionName: name, InvocationType: 'Event', Payload: '{}'}));
  assert.equal(event.StatusCode, 202);
  const dry = await lambda.send(new InvokeCommand({FunctionName: name, InvocationType: 'DryRun'}));
  assert.equal(dry.StatusCode, 204);
});

test('a missing function is a ResourceNotFoundException', async () => {
  await assert.rejects(lambda.send(new InvokeCommand({FunctionName: name + 'x'})), (error) => {
    assert.ok(error instanceof ResourceNotFoundException, error.name);
    assert.equal(error.$metadata.httpStatusCode, 404);
    assert.match(error.message, /Function not found/);
    return true;
  });
});

test('a name that is taken is a ResourceConflictException', async () => {
  await assert.rejects(create(name, python('')), ResourceConflictException);
});

test('an update is waited for, and a version published', async () => {
  await lambda.send(new UpdateFunctionCodeCommand(
      {FunctionName: name, ZipFile: python('def handler(e, c):\n    return {"got": e, "v": c.function_version}\n')}));
  await waitUntilFunctionUpdatedV2({client: lambda, maxWaitTime: 30, minDelay: 1}, {FunctionName: name});
  const version = await lambda.send(new PublishVersionCommand({FunctionName: name}));
  assert.equal(version.Version, '1');
  const reply = await lambda.send(new InvokeCommand({FunctionName: name, Qualifier: '1', Payload: '1'}));
  assert.deepEqual(JSON.parse(text(reply.Payload)), {got: 1, v: '1'});
  assert.equal(reply.ExecutedVersion, '1');
});

test('the paginator finds it', async () => {
  const names = [];
  for await (const page of paginateListFunctions({client: lambda, pageSize: 1}, {})) {
    names.push(...page.Functions.map((f) => f.FunctionName));
  }
  assert.ok(names.includes(name));
});

test('a function error keeps status 200', async () => {
  const FunctionName = name + '-bad';
  await create(FunctionName, python('def handler(e, c):\n    raise KeyError("k")\n'));
  const reply = await lambda.send(new InvokeCommand({FunctionName}));
  assert.equal(reply.StatusCode, 200);
  assert.equal(reply.FunctionError, 'Unhandled');
  assert.equal(JSON.parse(text(reply.Payload)).errorType, 'KeyError');
  await lambda.send(new DeleteFunctionCommand({FunctionName}));
});

test('a Node.js function streams its answer', async () => {
  const FunctionName = name + '-stream';
  const code = `export const handler = awslambda.streamifyResponse(async (event, stream) => {
    for (const part of event) stream.write(part);
    stream.end();
  });\n`;
  await create(FunctionName, zip('index.mjs', code), {Runtime: process.env.SAMOVAR_NODE, Handler: 'index.handler'});
  const reply = await lambda.send(new InvokeWithResponseStreamCommand(
      {FunctionName, Payload: JSON.stringify(['a', 'b', 'c'])}));
  let got = '', complete;
  for await (const event of reply.EventStream) {
    if (event.PayloadChunk) got += text(event.PayloadChunk.Payload);
    if (event.InvokeComplete) complete = event.InvokeComplete;
  }
  assert.equal(got, 'abc');
  assert.ok(complete && !complete.ErrorCode);
  const url = await lambda.send(new CreateFunctionUrlConfigCommand({FunctionName, AuthType: 'NONE'}));
  assert.match(url.FunctionUrl, /^https?:\/\//);
  await lambda.send(new DeleteFunctionCommand({FunctionName}));
});
