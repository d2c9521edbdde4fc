import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { AnswerPart, Job, JobOrder } from '../contract/jobs.ts';
import { decodeValue, encodeValue } from '../kit/rpc/codec.ts';
import type { RpcRole } from '../kit/rpc/role.ts';
import { flattenedError } from '../kit/rpc/wire-error.ts';
import { seededRandom } from '../lib/random.ts';
import { AppError } from '../model/errors.ts';
import { processErrors } from '../model/errors-process.ts';
import { answersRole, JobBoardServer } from './job-role.ts';

// The methods of schedulers and front ends, with heads that are changed at random.

const JOB = {
  id: 'f-1',
  tenant: 'a|b',
  query: 'f/1',
  costMs: 12.5,
  priority: -1,
  avoid: ['q1'],
  inParts: false,
  answersTo: '127.0.0.1:1',
};

test('what another process asks of a queue is whole, or refused', async () => {
  const random = seededRandom(5);
  const { signal } = new AbortController();
  const seen: unknown[] = [];
  const orders: ((order: JobOrder) => void)[] = [];
  const server = new JobBoardServer({
    connect(seat, order) {
      seen.push(seat);
      orders.push(order);
      return { resize: (places) => seen.push(places), done: (...done) => seen.push(done), leave: () => {} };
    },
    enqueue: (job: Job) => void seen.push(job),
    cancel: (id) => void seen.push(id),
  });
  const parts: AnswerPart[] = [];
  const role: RpcRole = { ...server.role, ...answersRole({ answer: async (part) => void parts.push(part) }) };
  const body = new Uint8Array([1, 2]);
  const ask = (method: string, head: Uint8Array) =>
    role[method]!({ head: decodeValue(head), body }, { signal, peer: 'test' });
  const part = {
    job: 'f-1',
    querier: 'q1',
    head: { workedMs: 1, api: { status: 200, contentType: 'x', headers: { a: 'b' } } },
    bytes: new Uint8Array([1, 2, 3]),
    isLast: true,
  };
  const heads: readonly (readonly [method: string, head: unknown])[] = [
    ['jobSeat', { id: 'q1', places: 4, heavyPlaces: 2 }],
    ['jobFrontend', {}],
    ['jobResize', { seat: 1, places: 0, heavyPlaces: 0 }],
    ['jobDone', { seat: 1, job: 'f-1', error: flattenedError(processErrors.callCancelled({})) }],
    ['jobEnqueue', { frontend: 2, job: JOB }],
    ['jobCancel', { frontend: 2, job: 'f-1' }],
    ['jobAnswer', part],
  ];
  for (const [method, head] of heads) await ask(method, encodeValue(head));
  assert.deepEqual(seen[0], { id: 'q1', places: 4, heavyPlaces: 2 });
  assert.deepEqual(seen[1], { places: 0, heavyPlaces: 0 });
  assert.deepEqual(seen[3], { ...JOB, payload: body });
  assert.deepEqual(seen[4], 'f-1');
  assert.deepEqual(parts, [part]);
  const isWhole = (job: Job) => typeof job.id === 'string' && Number.isFinite(job.costMs + job.priority);
  let refused = 0;
  for (const [method, head] of heads) {
    const bytes = encodeValue(head);
    for (let i = 0; i < 300; i++) {
      const changed = Uint8Array.from(bytes);
      for (let k = 0; k <= i % 3; k++) {
        const at = Math.floor(random() * changed.length);
        changed[at] = random() * 256;
      }
      try {
        await ask(method, changed);
      } catch (error) {
        assert.ok(error instanceof AppError, String((error as Error).stack));
        refused++;
      }
    }
  }
  assert.ok(refused > 300, `${refused} refused`);
  for (const each of seen)
    if (typeof each === 'object' && each !== null && 'payload' in each) assert.ok(isWhole(each as Job));
});

test('a job that was cancelled before it came is refused, and few of them are remembered', async () => {
  const left: string[] = [];
  const server = new JobBoardServer({
    connect: () => ({ resize: () => 0, done: () => {}, leave: () => {} }),
    enqueue: ({ id }: Job) => void left.push(id),
    cancel: () => {},
  });
  const call = (method: string, head: unknown) =>
    server.role[method]!({ head, body: new Uint8Array(0) }, { signal: new AbortController().signal, peer: 'test' });
  await call('jobFrontend', {});
  const leave = (id: string) => call('jobEnqueue', { frontend: 1, job: { ...JOB, id } });
  const cancel = (id: string) => call('jobCancel', { frontend: 1, job: id });
  await cancel('early');
  await assert.rejects(leave('early'), (error: unknown) => (error as AppError).facts.id === 'call-cancelled');
  await leave('other');
  await cancel('forgotten');
  for (let i = 0; i < 1000; i++) await cancel(`f-${i}`);
  await leave('forgotten');
  await assert.rejects(leave('f-0'), /no longer waits/);
  assert.deepEqual(left, ['other', 'forgotten']);
});
