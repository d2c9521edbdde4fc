import assert from 'node:assert/strict';
import os from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';
import { raisesPriorities, threadPriority } from './thread-priority.ts';

const mayNot = process.platform !== 'linux' || !threadPriority().lower(0);

test('a thread comes down from where it is, up again, and changes no other', { skip: mayNot }, async () => {
  const before = os.getPriority();
  const url = new URL('./thread-priority.ts', import.meta.url);
  const worker = new Worker(
    `import('${url}').then(({ threadPriority }) => {
      const os = require('node:os');
      const id = Number(require('node:fs').readlinkSync('/proc/thread-self').split('/').at(-1));
      os.setPriority(id, os.getPriority(id) + 2);
      const priority = threadPriority();
      const niceness = [3, 40, 0].map((steps) => priority.lower(steps) && os.getPriority(id));
      require('node:worker_threads').parentPort.postMessage(niceness);
    });`,
    { eval: true },
  );
  const niceness = await new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject));
  assert.deepEqual(niceness, [before + 5, 19, before + 2]);
  assert.equal(os.getPriority(), before);
  await worker.terminate();
});

test('who may not raise priorities does not lower them', () => {
  const status = (capabilities: string) =>
    `Name:\tnode\nCapPrm:\t000001ffffffffff\nCapEff:\t${capabilities}\nCapBnd:\t0`;
  const all = '         0          0 4294967295\n';
  assert.equal(raisesPriorities(status('000001ffffffffff'), all), true);
  assert.equal(raisesPriorities(status('0000000000800000'), all), true);
  // root of a container
  assert.equal(raisesPriorities(status('00000000a80425fb'), all), false);
  assert.equal(raisesPriorities(status('0000000000000000'), all), false);
  assert.equal(raisesPriorities('', all), false);
  // root of a user namespace
  assert.equal(raisesPriorities(status('000001ffffffffff'), '         0       1000          1\n'), false);
  assert.equal(raisesPriorities(status('000001ffffffffff'), '         0     100000      65536\n'), false);
});
