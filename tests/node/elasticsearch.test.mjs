// Elasticsearch's client for JavaScript against a running server (SAMOVAR_ENDPOINT). Run by tests/integration.
import assert from 'node:assert/strict';
import {randomUUID} from 'node:crypto';
import {after, before, test} from 'node:test';

import {Client, errors} from '@elastic/elasticsearch';

const client = new Client({node: `${process.env.SAMOVAR_ENDPOINT}/elasticsearch`, maxRetries: 0});
const index = `js-${randomUUID().slice(0, 8)}`;

before(() => client.indices.create({
  index,
  mappings: {properties: {embedding: {type: 'dense_vector', dims: 2, similarity: 'l2_norm'}}},
}));
after(() => client.indices.delete({index}));

test('documents, bulk and knn', async () => {
  assert.equal((await client.info()).tagline, 'You Know, for Search');
  const made = await client.index({index, id: 'a', document: {embedding: [1, 0], year: 1999}});
  assert.equal(made.result, 'created');
  const documents = [...Array(20).keys()].map((i) => ({id: `d${i}`, embedding: [i, 5], year: 2000 + i}));
  const stats = await client.helpers.bulk({
    datasource: documents,
    onDocument: ({id}) => ({index: {_index: index, _id: id}}),
    refreshOnCompletion: true,
  });
  assert.deepEqual([stats.total, stats.failed], [20, 0]);
  await client.update({index, id: 'a', doc: {year: 1998}});
  assert.equal((await client.get({index, id: 'a'}))._source.year, 1998);
  const found = await client.search({
    index,
    knn: {field: 'embedding', query_vector: [7, 5], k: 3, num_candidates: 10, filter: {range: {year: {gte: 2007}}}},
    _source: ['year'],
  });
  assert.deepEqual(found.hits.hits.map((hit) => hit._id), ['d7', 'd8', 'd9']);
  assert.deepEqual(found.hits.hits[0], {_index: index, _id: 'd7', _score: 1, _source: {year: 2007}});
  assert.equal((await client.count({index})).count, 21);
  assert.equal((await client.delete({index, id: 'a'})).result, 'deleted');
  assert.equal(await client.exists({index, id: 'a'}), false);
});

test('errors are the client\'s own', async () => {
  await assert.rejects(client.get({index, id: 'nobody'}), (error) => error instanceof errors.ResponseError && error.statusCode === 404);
  await assert.rejects(client.search({index, query: {match: {title: 'x'}}}),
    (error) => error.statusCode === 400 && error.body.error.type === 'parsing_exception');
});
