import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { ServiceDeployment } from './deployment.ts';
import { GenerationTrack } from './generation-track.ts';
import { RestartTrack } from './restart-track.ts';
import { type ServiceMinute, ServiceTrack, type VersionEvidence } from './service-track.ts';

const service = { cluster: '', namespace: 'shop', name: 'cart' };
const MINUTE_MS = 60_000;

/** Versions by evidence, for a number of minutes. */
type Phase = readonly [minutes: number, versions: Partial<Record<VersionEvidence, string>>];

function told(track: ServiceTrack, phases: readonly Phase[]): string[] {
  const last = new Map<string, ServiceDeployment>();
  let minute = 0;
  for (const [minutes, versions] of phases) {
    const counts = Object.entries(versions).map(([evidence, version]) => [
      evidence,
      [{ version: { version, revision: '' }, instances: 4 }],
    ]);
    for (let i = 0; i < minutes; i++, minute++) {
      const found = track.push(minute * MINUTE_MS, { versions: Object.fromEntries(counts) } as ServiceMinute);
      for (const one of found) last.set(one.id, one);
    }
  }
  return [...last.values()].map(({ evidence, to, beginMs }) => `${evidence} ${to} ${beginMs / MINUTE_MS}`);
}

test('the best evidence has the word', () => {
  const both: Phase[] = [
    [90, { 'target-info': '1', image: 'x' }],
    [90, { 'target-info': '2', image: 'y' }],
    [90, { 'target-info': '2', image: 'z' }],
  ];
  assert.deepEqual(told(new ServiceTrack(service), both), ['target-info 2 90']);
});

test('evidence that begins with a roll-out does not hide it, nor tells it twice', () => {
  const begins: Phase[] = [
    [90, { image: 'x' }],
    [90, { image: 'y', 'target-info': '2' }],
    [90, { image: 'z', 'target-info': '3' }],
  ];
  assert.deepEqual(told(new ServiceTrack(service), begins), ['image y 90', 'target-info 3 180']);
});

test('a roll-out of a workload is told once, by it or by the service, and others beside it are', () => {
  const [web, worker] = ['web', 'worker'].map((name) => ({ cluster: '', namespace: 'shop', name }));
  const track = new ServiceTrack(service);
  const last = new Map<string, ServiceDeployment>();
  for (let minute = 0; minute < 300; minute++) {
    const of = (evidence: VersionEvidence, version: string) => ({
      versions: { [evidence]: [{ version: { version, revision: '' }, instances: 4 }] },
    });
    const since = (begin: number) => (minute < begin ? '1' : '2');
    const found = [
      ...track.push(minute * MINUTE_MS, of('target-info', since(90))),
      ...track.push(minute * MINUTE_MS, of('image', since(91)), web),
      // by another evidence, as the first ends
      ...track.push(minute * MINUTE_MS, of('replica-set', since(200)), worker),
      ...track.push(minute * MINUTE_MS, of('image', since(201)), { ...worker!, name: 'jobs' }),
    ];
    for (const one of found) last.set(one.id, one);
  }
  assert.deepEqual(
    [...last.values()].map(({ evidence, workload }) => `${evidence} ${workload?.name ?? '–'}`),
    ['target-info –', 'replica-set worker', 'image jobs'],
  );
});

test('an event that was sent in stands for the roll-out beside it', () => {
  const phases: Phase[] = [
    [90, { image: 'x' }],
    [90, { image: 'y' }],
    [90, { image: 'z' }],
  ];
  const track = new ServiceTrack(service);
  const beginMs = 80 * MINUTE_MS;
  const event = { kind: 'deployment', evidence: 'sent', from: '', to: 'y', beginMs, endMs: beginMs } as const;
  track.sent({ ...event, service, id: 'cart/y' });
  assert.deepEqual(told(track, phases), ['image z 180']);
});

test('ids are of service, version and begin: looking twice finds the same', () => {
  const phases: Phase[] = [
    [90, { image: 'x' }],
    [30, { image: 'y/ä' }],
  ];
  const ids = [1, 2].map(() => {
    const track = new ServiceTrack(service);
    let minute = 0;
    const found = phases.flatMap(([minutes, { image = '' }]) =>
      Array.from({ length: minutes }, () =>
        track.push(minute++ * MINUTE_MS, {
          versions: { image: [{ version: { version: image, revision: '' }, instances: 4 }] },
        }),
      ).flat(),
    );
    return found.map(({ id }) => id);
  });
  assert.deepEqual(ids[0], ids[1]);
  assert.deepEqual(new Set(ids[0]), new Set(['/shop/cart/y%2F%C3%A4/5400000']));
});

test('restarts are start times that most instances have anew, and no instances that are added', () => {
  const run = (counts: readonly (readonly [instances: number, young: number, started?: number])[]) => {
    const track = new RestartTrack();
    return counts.flatMap(([instances, young, started = Number.NaN], minute) => {
      const found = track.push(minute * MINUTE_MS, { instances, young, firstStartMs: started * MINUTE_MS });
      return found === undefined ? [] : [found.beginMs / MINUTE_MS];
    });
  };
  assert.deepEqual(
    run([
      [4, 4, 0],
      [4, 4, 0],
      [4, 0],
      [4, 1, 3],
      [4, 3, 3],
      [4, 4, 3],
      [4, 0],
    ]),
    [3],
  );
  assert.deepEqual(
    run([
      [4, 0],
      [8, 4, 1],
      [12, 8, 1],
    ]),
    [],
    'added',
  );
});

test('a restart beside a roll-out is part of it, and one by itself waits for it', () => {
  const track = new ServiceTrack(service);
  const found: ServiceDeployment[] = [];
  for (let minute = 0; minute < 240; minute++) {
    const young = (minute >= 90 && minute < 100) || (minute >= 180 && minute < 190);
    const begin = minute >= 180 ? 180 : 90;
    found.push(
      ...track.push(minute * MINUTE_MS, {
        versions: { image: [{ version: { version: minute < 90 ? 'x' : 'y', revision: '' }, instances: 4 }] },
        starts: { instances: 4, young: young ? 4 : 0, firstStartMs: young ? begin * MINUTE_MS : Number.NaN },
      }),
    );
  }
  assert.deepEqual(
    new Set(found.map(({ kind, beginMs }) => `${kind} ${beginMs / MINUTE_MS}`)),
    new Set(['deployment 90', 'restart 180']),
  );
});

test('a generation counts where the number of replicas stayed', () => {
  const track = new GenerationTrack();
  const generations = [
    [1, 3],
    [1, 3],
    [2, 5],
    [3, 5],
    [3, 5],
    [4, 4],
  ];
  const found = generations.map(
    ([generation, replicas], minute) => track.push(minute * MINUTE_MS, generation!, replicas!)?.to,
  );
  assert.deepEqual(found, [undefined, undefined, undefined, 'generation 3', undefined, undefined]);
});
