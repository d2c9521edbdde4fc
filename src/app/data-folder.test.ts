import assert from 'node:assert/strict';
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { hostname, tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { systemClock } from '../lib/clock.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { DataFolder } from './data-folder.ts';

const root = await mkdtemp(join(tmpdir(), 'pallium-data-'));
after(() => rm(root, { recursive: true }));

/** Locks of processes that cannot be seen from here are watched for so long. */
const lockTimes = { beatMs: 40, watchMs: 200 };

const open = async (name: string) => {
  const folder = DataFolder.of(join(root, name), '0.1.0', systemClock, { lockTimes });
  await folder.start();
  return folder;
};

async function locked(name: string, lock: object, ageMs = 0): Promise<void> {
  await mkdir(join(root, name), { recursive: true });
  const file = join(root, name, 'lock');
  await writeFile(file, JSON.stringify(lock));
  const then = new Date(Date.now() - ageMs);
  await utimes(file, then, then);
}

test('a folder is made with its version, and left without a lock', async () => {
  const folder = await open('new/deep');
  assert.equal(JSON.parse(await readFile(join(folder.path, 'pallium.json'), 'utf8')).format, 2);
  assert.deepEqual((await readdir(folder.path)).sort(), ['lock', 'pallium.json']);
  await assert.rejects(open('new/deep'), /in use by process \d+; give this process another one with -data.dir/);
  await folder.stop();
  assert.deepEqual(await readdir(folder.path), ['pallium.json']);
  await (await open('new/deep')).stop();
});

test('of two that come at once one gets it', async () => {
  const outcomes = await Promise.allSettled([open('race'), open('race'), open('race')]);
  const winners = outcomes.filter((outcome) => outcome.status === 'fulfilled');
  assert.equal(winners.length, 1);
  await winners[0]!.value.stop();
});

test('a lock outlives its process, but not its purpose', async () => {
  const bootId = (await readFile('/proc/sys/kernel/random/boot_id', 'utf8')).trim();
  const here = { host: hostname(), bootId };
  for (const [name, lock, ageMs] of [
    ['dead', { ...here, pid: 2 ** 22 - 1, startTicks: '1' }, 0],
    ['reused-number', { ...here, pid: process.ppid, startTicks: '1' }, 0],
    ['reboot', { host: hostname(), bootId: 'another', pid: process.ppid, startTicks: '1' }, 0],
    ['silent-machine', { host: 'elsewhere', bootId: 'x', pid: 1, startTicks: '1' }, 60_000],
  ] as const) {
    await locked(name, lock, ageMs);
    await (await open(name)).stop();
  }
  await locked('elsewhere', { host: 'elsewhere', bootId: 'x', pid: 7, startTicks: '1' });
  await assert.rejects(open('elsewhere'), /in use by process 7 on elsewhere/);
});

test('a folder of a later version, or something else, is refused', async () => {
  for (const [name, text, why] of [
    ['later', '{"format":3}', /has format 3, this version \(0\.1\.0\) knows formats up to 2/],
    ['between', '{"format":1.5}', /has format 1\.5/],
    ['garbage', 'not json', /is .* really a data folder\?/],
    ['other', '{}', /has format undefined/],
    ['null', 'null', /null\/pallium\.json: .* has format undefined/],
    ['text', '{"format":"1"}', /text\/pallium\.json: .* has format 1/],
    ['zero', '{"format":0}', /zero\/pallium\.json: .* has format 0/],
    ['list', '[]', /list\/pallium\.json: .* has format undefined/],
    ['empty', '', /empty\/pallium\.json cannot be read/],
    ['long', ' '.repeat(100_000), /long\/pallium\.json cannot be read \(it has 100000 bytes\)/],
  ] as const) {
    await mkdir(join(root, name));
    await writeFile(join(root, name, 'pallium.json'), text);
    await assert.rejects(open(name), why);
    assert.deepEqual(await readdir(join(root, name)), ['pallium.json'], 'and left as it was');
  }
  await writeFile(join(root, 'file'), '');
  await assert.rejects(open('file/data'), /cannot make the data folder .*set -data\.dir/);
});

test('a folder of an earlier format is raised to this one, so that an earlier version refuses it', async () => {
  const path = join(root, 'earlier');
  await mkdir(path);
  const made = { createdBy: '0.0.9', createdAt: '2026-01-01T00:00:00.000Z' };
  await writeFile(join(path, 'pallium.json'), JSON.stringify({ format: 1, ...made }));
  const said: string[] = [];
  const clock = new ManualClock(Date.UTC(2026, 10, 1));
  const start = async () => {
    const folder = DataFolder.of(path, '0.1.0', clock, { say: (text) => said.push(text) });
    await folder.start();
    await folder.stop();
  };
  await start();
  const read = async () => JSON.parse(await readFile(join(path, 'pallium.json'), 'utf8'));
  const raised = { format: 2, ...made, raisedBy: '0.1.0', raisedAt: '2026-11-01T00:00:00.000Z' };
  assert.deepEqual(await read(), raised);
  clock.set(Date.UTC(2026, 10, 2));
  await start();
  assert.deepEqual(await read(), raised);
  assert.deepEqual(said, ['the data folder had format 1, and has 2 now: earlier versions refuse it']);
  assert.deepEqual(await readdir(path), ['pallium.json']);
});

test('folders in place of its files are named', async () => {
  for (const name of ['pallium.json', 'lock']) {
    const dir = join(root, `folder-${name}`);
    await mkdir(join(dir, name), { recursive: true });
    await assert.rejects(open(`folder-${name}`), new RegExp(`folder-${name}/${name}`.replaceAll('.', '\\.')));
    assert.deepEqual(await readdir(dir), [name], 'and left as it was');
  }
});
