// The types of the module `samovar` (runtimes/nodejs/lib/samovar/index.d.ts): strict programs compile with them, wrong
// ones do not, and they name what the module has. Needs no server.
import assert from 'node:assert/strict';
import {createRequire} from 'node:module';
import {test} from 'node:test';
import {fileURLToPath} from 'node:url';

import ts from 'typescript';

const MODULE = fileURLToPath(new URL('../../runtimes/nodejs/lib/samovar', import.meta.url));
const PROGRAM = `${import.meta.dirname}/program.cts`;
const HEAD = `
import { collection, Collection, CollectionError, Matrix, Snapshot } from 'samovar';
import type { Ack, Attributes, Change, Filter, Hit, Row, Vector } from 'samovar';
interface Film { year: number; genres?: string[] }
const films = collection<Film>('films');
const any = collection('any');
`;

const parsed = new Map();

// What tsc --strict says of a program, which is looked at as if it lay beside this file: [{line of the body, text}].
function said(body, more = {}) {
  const options = {
    strict: true, noEmit: true, exactOptionalPropertyTypes: true, noUncheckedIndexedAccess: true,
    target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.NodeNext, moduleResolution: ts.ModuleResolutionKind.NodeNext,
    types: [], paths: {samovar: [`${MODULE}/index.d.ts`]}, ...more,
  };
  const host = ts.createCompilerHost(options);
  const {fileExists, getSourceFile} = host;
  host.fileExists = (path) => path === PROGRAM || fileExists(path);
  host.getSourceFile = (path, how, ...rest) => {
    if (path === PROGRAM) return ts.createSourceFile(path, HEAD + body, how);
    const key = `${path} ${JSON.stringify(how)}`;
    if (!parsed.has(key)) parsed.set(key, getSourceFile.call(host, path, how, ...rest));
    return parsed.get(key);
  };
  const program = ts.createProgram([PROGRAM], options, host);
  const errors = ts.getPreEmitDiagnostics(program).map(({file, start, messageText}) => ({
    line: file ? file.getLineAndCharacterOfPosition(start).line - HEAD.split('\n').length + 1 : -1,
    text: ts.flattenDiagnosticMessageText(messageText, ' '),
  }));
  return {errors, program};
}

const WHOLE = `
export async function handler(event: { vector: number[] }): Promise<Hit<Film>[]> {
  const filter: Filter = { and: [{ range: { year: { gte: 1990, lt: 2000 } } }, { not: { in: { genres: ['War', null] } } }] };
  const ack: Ack = await films.put('heat', new Float32Array(64), { year: 1995 });
  await films.upsert('heat', event.vector);
  await films.update('heat', { year: 1996, genres: null });
  const changes: Change<Film>[] = [{ op: 'put', id: 'a', vector: [1, 2] }, { op: 'update', id: 'a', attributes: { year: 1 } },
    { op: 'delete', id: 'b' }];
  const missing: string[] = (await films.batch(changes)).missing;
  await films.delete('heat');
  const row: Row<Film> | null = await films.get('heat', { minGeneration: ack.generation });
  const year: number | undefined = row?.attributes.year;
  const told = await films.describe();
  const rows: number | undefined = told.stats?.rows;
  const one: Attributes | undefined = (await any.search(event.vector, { k: 1, exact: true, candidates: 0 }))[0]?.attributes;
  using now: Snapshot<Film> = await films.snapshot({ minGeneration: ack.generation, wait: 100 });
  const matrix: Matrix = now.matrix();
  if (matrix.data instanceof Float32Array) matrix.data.subarray(0, matrix.stride);
  const ids: (string | null)[] = now.ids;
  const sums = ids.map((id, i) => (id === null ? 0 : matrix.row(i)[0] ?? 0));
  now.check();
  now.close();
  try {
    return now.search(event.vector satisfies Vector, { filter });
  } catch (error) {
    if (error instanceof CollectionError && error.code === 'Expired') return [];
    throw error;
  }
}
new Collection('films');
`;

test('a strict program compiles', () => assert.deepEqual(said(WHOLE).errors, []));

test('so does one that a bundler takes, whose library is older', () => {
  assert.deepEqual(said(WHOLE, {target: ts.ScriptTarget.ES2020, module: ts.ModuleKind.ESNext,
    moduleResolution: ts.ModuleResolutionKind.Bundler, lib: ['lib.es2020.d.ts']}).errors, []);
});

const WRONG = [
  ["films.search('heat');", 'is not assignable to parameter of type \'Vector\''],
  ['films.search([1], { kk: 1 });', "'kk' does not exist"],
  ['films.search([1], { filter: { like: { year: 1 } } });', "'like' does not exist"],
  ["films.search([1], { filter: { range: { year: { gte: 1, lt: 'x' } } } });", 'is not assignable'],
  ["films.put('a', [1], { year: '1995' });", "Type 'string' is not assignable to type 'number'"],
  ["films.update('a', { yaer: 1 });", "'yaer' does not exist"],
  ["films.batch([{ op: 'put', id: 'a' }]);", "'vector' is missing"],
  ["films.batch([{ op: 'drop', id: 'a' }]);", 'is not assignable'],
  ["any.put('a', [1], { when: new Date() });", 'is not assignable'],
  ['new Snapshot();', 'private'],
  ["films.get('a').attributes;", "Property 'attributes' does not exist on type 'Promise"],
  ['collection(7);', "'number' is not assignable to parameter of type 'string'"],
];

test('programs that would be refused at run time do not', () => {
  const {errors} = said(WRONG.map(([wrong]) => wrong).join('\n'));
  WRONG.forEach(([wrong, words], i) => {
    const its = errors.filter(({line}) => line === i).map(({text}) => text);
    assert.equal(its.length, 1, `${wrong}: ${its.join('; ')}`);
    assert.ok(its[0].includes(words), its[0]);
  });
  assert.equal(errors.length, WRONG.length);
});

test('the types name what the module has', () => {
  const {program} = said('');
  const checker = program.getTypeChecker();
  const file = program.getSourceFile(`${MODULE}/index.d.ts`);
  const declared = checker.getExportsOfModule(checker.getSymbolAtLocation(file)).filter((one) => one.flags & ts.SymbolFlags.Value);
  const module = createRequire(import.meta.url)(MODULE);
  assert.deepEqual(declared.map((one) => one.name).sort(), Object.keys(module).sort());
  for (const one of declared.filter((each) => each.flags & ts.SymbolFlags.Class && each.name !== 'CollectionError')) {
    const members = [...one.members.values()].filter((member) => member.flags & (ts.SymbolFlags.Method | ts.SymbolFlags.Accessor));
    const names = members.map((member) => member.name).filter((name) => !name.startsWith('__'));
    const there = Object.getOwnPropertyNames(module[one.name].prototype).filter((name) => name !== 'constructor');
    assert.deepEqual(names.sort(), there.sort(), one.name);
  }
});
