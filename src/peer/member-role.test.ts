import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { IngesterAdmin } from '../contract/ingester.ts';
import type { MemberPush } from '../contract/member.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import type { RpcAnswer, RpcCaller } from '../kit/rpc/role.ts';
import { LabelMatcher } from '../model/matcher.ts';
import { isPlanData } from '../model/regex/plan-check.ts';
import { Regex } from '../model/regex/regex.ts';
import { memberRole } from './member-role.ts';
import { RemoteMember, SentFrames } from './remote-member.ts';

// Both ends of the contracts with nothing but the codec between them.

type Role = ReturnType<typeof memberRole>;

const { signal } = new AbortController();
const VERSION = { number: 3, hash: 'ab'.repeat(32) };

function joined(role: Role): RpcCaller {
  const ask = async (method: string, head: unknown, body: Uint8Array = new Uint8Array(0)): Promise<RpcAnswer> => {
    const request = { head: decodeValue(encodeValue(head)), body };
    return role[method]!(request, { signal, peer: 'test' });
  };
  return {
    async call(method, head, body) {
      const { head: answer, body: bytes = new Uint8Array(0) } = await ask(method, head, body);
      return { head: decodeValue(encodeValue(answer)), body: bytes };
    },
    async stream(method, head) {
      const { head: answer, items } = await ask(method, head);
      return { head: decodeValue(encodeValue(answer)), body: new Uint8Array(0), items: items! };
    },
  };
}

test('requests and answers are what they were on the other side', async () => {
  const seen: unknown[] = [];
  const answer = { exemplarsLost: 2, unknown: [1, 7], keysTaken: true };
  const losses = [{ text: 'a log was lost', settled: true }];
  async function* slices() {
    yield new Uint8Array([1]);
    yield new Uint8Array([2, 3]);
  }
  const orders: Partial<IngesterAdmin> = {
    deleteTenant: async (tenant) => void seen.push(tenant),
    flush: async (request) => void seen.push(request),
    tenantSeries: async () => [{ tenant: 't', series: 5 }],
    seriesOf: async () => 5,
    deletionsReadMs: async () => 1_790_000_000_000,
  };
  const role = memberRole({
    target: {
      push: async ({ frames, ...request }) => {
        seen.push({ ...request, frames: frames.length });
        return { ...answer, refusals: new Uint8Array([9, 9]) };
      },
      setMetadata: async (request) => {
        seen.push(request);
        return { newer: VERSION, refused: { per_user: 1 } };
      },
    },
    reader: {
      select: async (...asked) => {
        seen.push(asked.slice(0, 2));
        return { losses, value: slices() };
      },
      labels: async (...asked) => {
        seen.push(asked.slice(0, 2));
        return { newer: VERSION, losses: [], value: ['a', 'b'] };
      },
      metadata: async () => ({ losses, value: [] }),
      headStats: async () => ({ losses: [], value: undefined }),
      exemplars: async () => ({ losses: [], value: [] }),
    },
    admin: orders as IngesterAdmin,
  });
  const member = new RemoteMember(joined(role), new SentFrames());

  const limits = { seriesPerUserMax: 0, seriesPerMetricMax: 3, outOfOrderMs: 60_000, exemplarsMax: 1 };
  const push: MemberPush = { tenant: 't', frames: new Uint8Array(0), limits, version: VERSION, writing: 2 };
  assert.deepEqual(await member.push(push), { ...answer, refusals: new Uint8Array([9, 9]) });
  assert.deepEqual(seen.pop(), { ...push, frames: 0, areBlocks: true });

  const metadata = { tenant: 't', entries: [{ metric: 'm', type: 'gauge', help: 'ü', unit: '' }], version: VERSION };
  const whole = { ...metadata, limits: { metricsMax: 1, perMetricMax: 0 }, writing: 2 };
  assert.deepEqual(await member.setMetadata(whole), { newer: VERSION, refused: { per_user: 1 } });
  assert.deepEqual(seen.pop(), whole);

  const range = { startMs: Number.NEGATIVE_INFINITY, endMs: 5.5 };
  const select = { tenant: 't', matchers: [{ name: 'a', op: '=' as const, value: '' }], ...range, labelsOnly: true };
  const read = await member.select({ ...select, shard: { index: 1, count: 4 } }, VERSION, signal);
  assert.deepEqual(read.losses, losses);
  const found: number[][] = [];
  for await (const slice of read.value) found.push([...slice]);
  assert.deepEqual(found, [[1], [2, 3]]);
  assert.deepEqual(seen.pop(), [{ ...select, shard: { index: 1, count: 4 } }, VERSION]);

  const labels = { tenant: 't', matchers: [select.matchers, []], name: 'job', ...range };
  assert.deepEqual(await member.labels(labels, VERSION, signal), { newer: VERSION, losses: [], value: ['a', 'b'] });
  assert.deepEqual(seen.pop(), [labels, VERSION]);
  assert.equal((await member.headStats({ tenant: 't', limit: 3 }, VERSION, signal)).value, undefined);

  await member.flush({ tenant: undefined, wait: true }, signal);
  assert.deepEqual(seen.pop(), { tenant: undefined, wait: true });
  await member.deleteTenant('gone');
  assert.equal(seen.pop(), 'gone');
  assert.deepEqual(await member.tenantSeries(), [{ tenant: 't', series: 5 }]);
  assert.equal(await member.seriesOf('t'), 5);
  assert.equal(await member.deletionsReadMs(), 1_790_000_000_000);
});

test('regular expressions match there as they do here, and plans that would never end are refused', () => {
  const patterns = ['a|b|c', 'pre-.*', '.*-suf', '(a|b).*[0-9]+x?', '(?i)Ab.?', 'x{3,9}y|z', ''];
  const values = ['a', 'pre-1', '1-suf', 'b77x', 'aBc', 'xxxxy', 'z', '', 'other'];
  for (const pattern of patterns) {
    const regex = LabelMatcher.of('l', '=~', pattern).regex!;
    const plan = decodeValue(encodeValue(regex.plan));
    assert.ok(isPlanData(plan), pattern);
    const there = Regex.of(pattern, plan);
    for (const value of values) assert.equal(there.matches(value), regex.matches(value), `${pattern} of ${value}`);
  }
  const { plan } = LabelMatcher.of('l', '=~', 'one|two|three|(a|b).*[0-9]+x?').regex!;
  const wrong = [
    { ...plan, exact: { ...plan.exact, slots: new Uint32Array(8).fill(1) } },
    { ...plan, general: [[{ kind: 'gap', charsMin: -1 }]] },
    { ...plan, program: { ...plan.program, start: 1e6 } },
    { ...plan, program: { ...plan.program, outs: new Int32Array(3) } },
    { general: 'x' },
    null,
  ];
  for (const each of wrong) assert.equal(isPlanData(each), false, JSON.stringify(each).slice(0, 80));
});
