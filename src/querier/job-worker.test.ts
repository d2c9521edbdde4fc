import assert from 'node:assert/strict';
import { test } from 'node:test';
import { until } from '../../test/harness/wait.ts';
import type { AnswerTaker, Job, JobOrder, JobSource, OpenSeat, QuerierSeat } from '../contract/jobs.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { PushQueue } from '../lib/push-queue.ts';
import { seededRandom } from '../lib/random.ts';
import { processErrors } from '../model/errors-process.ts';
import { type JobOutcome, JobWorker } from './job-worker.ts';

const JOB: Job = {
  id: 'j1',
  tenant: 't',
  query: 'q',
  costMs: 0,
  priority: 0,
  avoid: [],
  answersTo: 'f',
  inParts: true,
  payload: new Uint8Array(0),
};

/** A scheduler, as a worker has it: seats that it was asked for, and what it heard. */
class FakeScheduler implements JobSource {
  readonly seats: PushQueue<JobOrder>[] = [];
  /** Places of the seat that was opened last. */
  places = 0;
  readonly heard: [job: string, error: string | undefined][] = [];
  /** Words that a job is through that get lost. */
  lost = 0;

  async seat({ places }: QuerierSeat, signal: AbortSignal): Promise<OpenSeat> {
    const orders = new PushQueue<JobOrder>(() => {});
    signal.addEventListener('abort', () => orders.fail(signal.reason), { once: true });
    this.seats.push(orders);
    this.places = places;
    return {
      orders,
      resize: async ({ places: now }) => {
        this.places = now;
        return 0;
      },
      done: async (id, error) => {
        if (this.lost-- > 0) throw processErrors.shuttingDown({});
        this.heard.push([id, error?.facts.id]);
      },
    };
  }
}

function stage(run: (job: Job, signal: AbortSignal) => Promise<JobOutcome>, answer: AnswerTaker['answer']) {
  const clock = new ManualClock();
  const options = { id: 'q', places: 8, heavyPlaces: 4, log: silentLogger, clock, random: seededRandom(1) };
  return { clock, worker: new JobWorker({ ...options, run, answers: () => ({ answer }) }) };
}

test('parts are made no more when what comes before them finds nobody', async () => {
  const ended = Promise.withResolvers<void>();
  const { worker } = stage(
    async (_, signal) => {
      signal.addEventListener('abort', () => ended.resolve(), { once: true });
      return { head: { workedMs: 0 }, bytes: Buffer.from('head'), parts: (async function* () {})() };
    },
    async () => {
      throw processErrors.callCancelled({});
    },
  );
  const scheduler = new FakeScheduler();
  worker.add('s', scheduler);
  await until('it is seated', async () => worker.seated.length === 1);
  scheduler.seats[0]!.push({ kind: 'job', job: JOB });
  await until('it is through', async () => scheduler.heard.length === 1);
  assert.deepEqual(scheduler.heard, [['j1', 'call-cancelled']]);
  await Promise.race([ended.promise, new Promise((_, reject) => setTimeout(reject, 2_000, new Error('it goes on')))]);
  await worker.stop(AbortSignal.abort());
});

test('that a job is through is said again, and a seat where it is not heard ends', async () => {
  const { worker, clock } = stage(
    async () => ({ head: { workedMs: 0 }, bytes: Buffer.from('all') }),
    async () => {},
  );
  const scheduler = new FakeScheduler();
  worker.add('s', scheduler);
  await until('it is seated', async () => worker.seated.length === 1);
  scheduler.lost = 2;
  scheduler.seats[0]!.push({ kind: 'job', job: JOB });
  await until('it is said again', async () => {
    await clock.advance(2_000);
    return scheduler.heard.length === 1;
  });
  assert.deepEqual([scheduler.heard, scheduler.seats.length], [[['j1', undefined]], 1]);

  scheduler.lost = 5;
  scheduler.seats[0]!.push({ kind: 'job', job: { ...JOB, id: 'j2' } });
  await until('another seat is opened', async () => {
    await clock.advance(2_000);
    return scheduler.seats.length === 2;
  });
  assert.deepEqual([scheduler.lost, scheduler.heard.length, worker.running], [0, 1, 0]);
  await worker.stop(AbortSignal.abort());
});

test('a scheduler that cannot be reached has none of the places', async () => {
  const { worker } = stage(
    async () => ({ head: { workedMs: 0 }, bytes: Buffer.from('all') }),
    async () => {},
  );
  const [one, two] = [new FakeScheduler(), new FakeScheduler()];
  worker.add('one', one);
  worker.add('away', { seat: async () => Promise.reject(processErrors.shuttingDown({})) });
  await until('it is seated', async () => worker.seated.length === 1);
  assert.equal(one.places, 8);
  worker.add('two', two);
  await until('both are seated', async () => worker.seated.length === 2);
  assert.deepEqual([one.places, two.places], [4, 4]);
  two.seats[0]!.end();
  await until('one has all again', async () => one.places === 8);
  await worker.stop(AbortSignal.abort());
});
