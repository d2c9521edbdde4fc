import assert from 'node:assert/strict';
import { test } from 'node:test';
import { systemClock } from '../../lib/clock.ts';
import { refreshOneByOne } from './control-connection.ts';

/** A control connection whose refreshes end when told to. */
function fakeControl() {
  const refreshes: { hosts: Iterator<unknown> | undefined; done: () => void; fail: (why: Error) => void }[] = [];
  const control = {
    _isShuttingDown: false,
    _refresh: (hosts?: Iterator<unknown>) =>
      new Promise<void>((done, fail) => {
        refreshes.push({ hosts, done, fail });
      }),
  };
  const stop = refreshOneByOne(control, { retryMs: 1, clock: systemClock });
  return { control, refreshes, stop };
}

test('calls during a refresh are one more after it', async () => {
  const { control, refreshes } = fakeControl();
  const all = [control._refresh(), control._refresh(), control._refresh()];
  assert.equal(refreshes.length, 1);
  refreshes[0]!.done();
  await turns();
  assert.equal(refreshes.length, 2);
  refreshes[1]!.done();
  await Promise.all(all);
  assert.equal(refreshes.length, 2);
  void control._refresh();
  assert.equal(refreshes.length, 3, 'and the next starts at once');
});

test('a refresh goes on with its next host', async () => {
  const { control, refreshes } = fakeControl();
  void control._refresh();
  const hosts = [1].values();
  void control._refresh(hosts);
  assert.deepEqual(
    refreshes.map((one) => one.hosts),
    [undefined, hosts],
  );
});

test('one that fails is tried again, and rejects for nobody; not after the end', async () => {
  const { control, refreshes } = fakeControl();
  const refreshed = control._refresh();
  refreshes[0]!.fail(new Error('no connection'));
  while (refreshes.length < 2) await turns();
  control._isShuttingDown = true;
  refreshes[1]!.fail(new Error('no connection'));
  await refreshed;
  assert.equal(refreshes.length, 2);
});

test('nothing is refreshed once it was stopped', async () => {
  const { control, refreshes, stop } = fakeControl();
  const refreshed = control._refresh();
  stop();
  refreshes[0]!.fail(new Error('no connection'));
  await refreshed;
  await control._refresh();
  assert.equal(refreshes.length, 1);
});

function turns(): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, 2);
  });
}
