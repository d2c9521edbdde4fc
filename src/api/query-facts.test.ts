import assert from 'node:assert/strict';
import { test } from 'node:test';
import { BinaryWriter, WireType } from '@bufbuild/protobuf/wire';
import type { ApiRequest } from '../contract/api.ts';
import { DAY_MS } from '../lib/day.ts';
import { QueryPriority, QueryRejection } from '../limits/query-rules.ts';
import { deflateSnappy } from '../wire/snappy.ts';
import { queryFacts } from './query-facts.ts';

const NOW_MS = 100 * DAY_MS;

function asked(url: string, body?: Uint8Array): ApiRequest {
  const { pathname: path, searchParams } = new URL(url, 'http://x');
  return { tenant: 't', method: 'GET', path, params: [...searchParams], ...(body && { body }) };
}

/** A request of remote read for `job="x"` in these ranges of days. */
function readOf(...ranges: (readonly [from: number, to: number])[]): Uint8Array {
  const out = new BinaryWriter();
  for (const [from, to] of ranges) {
    out.tag(1, WireType.LengthDelimited).fork();
    out.tag(1, WireType.Varint).int64(from * DAY_MS);
    out.tag(2, WireType.Varint).int64(to * DAY_MS);
    out.tag(3, WireType.LengthDelimited).fork();
    out.tag(2, WireType.LengthDelimited).string('job');
    out.tag(3, WireType.LengthDelimited).string('x').join().join();
  }
  return deflateSnappy(out.finish());
}

test('what reads series costs by the time that it spans, whatever it is', () => {
  const days = (url: string, body?: Uint8Array) => {
    const facts = queryFacts(asked(url, body), NOW_MS);
    return facts && [facts.query, (facts.endMs - facts.startMs) / DAY_MS];
  };
  const range = `start=${(10 * DAY_MS) / 1e3}&end=${(40 * DAY_MS) / 1e3}`;
  assert.deepEqual(days(`/api/v1/query_range?query=up&${range}&step=60`), ['up', 30]);
  assert.deepEqual(days(`/api/v1/query_exemplars?query=up&${range}`), ['/api/v1/query_exemplars up', 30]);
  assert.deepEqual(days('/api/v1/query_exemplars?query=up'), ['/api/v1/query_exemplars up', 0]);
  assert.deepEqual(days('/api/v1/read', readOf([10, 40])), ['/api/v1/read job="x"', 30]);
  assert.deepEqual(days('/api/v1/read', readOf([10, 40], [30, 40])), ['/api/v1/read job="x" or job="x"', 40]);
  assert.deepEqual(days('/api/v1/read', Uint8Array.of(1, 2, 3)), ['/api/v1/read ', 1]);
  assert.deepEqual(days('/federate?match[]=up&match[]=down'), ['/federate up,down', 0]);
  assert.deepEqual(days(`/api/v1/search/metric_names?${range}`), ['/api/v1/search/metric_names ', 30]);
  assert.deepEqual(days('/api/v1/search/label_values?label=job'), ['/api/v1/search/label_values job', 1 / 24]);
  assert.deepEqual(days('/api/v1/cardinality/day?match[]=up'), ['/api/v1/cardinality/day up', 1]);
  assert.equal(days('/api/v1/status/buildinfo'), undefined);
  assert.equal(days('/api/v1/rules'), undefined);
});

test('rules of queries match only kinds of which they have a word', () => {
  const anything = [{ regex: '.*' }];
  const rejection = QueryRejection.parse({ enabled: true, query_attributes: anything });
  const priorities = [{ priority: 7, query_attributes: anything }];
  const priority = QueryPriority.parse({ enabled: true, default_priority: 3, priorities });
  const rulesOf = (url: string) => {
    const facts = queryFacts(asked(url), NOW_MS)!;
    return [rejection.rejects(facts, NOW_MS), priority.of(facts, NOW_MS)];
  };
  assert.deepEqual(rulesOf('/api/v1/labels'), [true, 7]);
  for (const path of ['/federate', '/api/v1/read', '/api/v1/query_exemplars', '/api/v1/cardinality/day'])
    assert.deepEqual(rulesOf(path), [false, 3], path);
});
