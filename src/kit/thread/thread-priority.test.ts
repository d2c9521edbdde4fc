import assert from 'node:assert/strict';
import os from 'node:os';
import { test } from 'node:test';
import { Worker } from 'node:worker_threads';

test('a thread changes its own priority and no other', { skip: process.platform !== 'linux' }, async () => {
  const before = os.getPriority();
  const url = new URL('./thread-priority.ts', import.meta.url);
  const worker = new Worker(
    `import('${url}').then(({ threadPriority }) => {
      const priority = threadPriority();
      const set = priority.set(15);
      const id = Number(require('node:fs').readlinkSync('/proc/thread-self').split('/').at(-1));
      require('node:worker_threads').parentPort.postMessage({ set, nice: require('node:os').getPriority(id) });
    });`,
    { eval: true },
  );
  const [answer] = await Promise.all([
    new Promise((resolve, reject) => worker.once('message', resolve).once('error', reject)),
  ]);
  assert.deepEqual(answer, { set: true, nice: 15 });
  assert.equal(os.getPriority(), before);
  await worker.terminate();
});
