import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Channel, serve } from '../../kit/thread/channel.ts';
import { systemClock } from '../../lib/clock.ts';
import { after, membersOf, ringOf, viewOf } from '../../ring/test-ring.ts';
import { encodeVersion, hashOfVersion, type RingVersion } from '../../ring/version.ts';
import { RingView } from '../../ring/view.ts';
import { type RingHostRole, type RingThreadRole, ringPorts, serveRing, ThreadRing } from './thread-ring.ts';

/** A ring whose views are set by the test. */
class GivenRing {
  readonly listeners = new Set<(view: RingView) => void>();
  #view: RingView | undefined;

  current(): RingView | undefined {
    return this.#view;
  }

  onChange(listener: (view: RingView) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  set(view: RingView): void {
    this.#view = view;
    for (const listener of this.listeners) listener(view);
  }
}

function viewOfTwo(first: RingVersion, second: RingVersion, words = new Map<string, number>()): RingView {
  const hash = hashOfVersion(encodeVersion(second));
  return new RingView({ chain: [first, second], hash, confirmed: 1, words, wordMs: 0 });
}

test('a thread has the ring of its process, its newer versions, and where members are now', async (t) => {
  const ring = new GivenRing();
  const first = ringOf(membersOf(4, 0), 16, 3);
  const second = after(first, { kind: 'drain', id: first.members[0]!.id });
  ring.set(viewOf(first));
  const addresses = new Map([[first.members[1]!.id, '10.0.0.9:1']]);
  const gone = Promise.withResolvers<void>();
  const { own, other } = ringPorts();
  t.after(() => gone.resolve());
  const met: string[] = [];
  const meet = async (id: string) => {
    met.push(id);
    ring.set(viewOfTwo(first, second));
  };
  const seek = async (ids: readonly string[]) => {
    for (const id of ids) addresses.set(id, `found:${id.length}`);
  };
  serveRing({ ring, addresses: () => addresses, meet, seek }, own, gone.promise);
  const thread = new ThreadRing(other, systemClock);
  await new Promise<void>((resolve) => {
    thread.onChange(() => resolve());
  });
  assert.deepEqual(thread.current()!.newest, first);
  assert.equal(thread.addressOf(first.members[1]!.id), '10.0.0.9:1');
  // four of the ring, one of which says that it is elsewhere
  assert.equal(thread.addresses.length, 5);
  assert.ok(thread.addresses.includes('10.0.0.9:1'));

  // what the process learns by a meeting is known here when it is over
  await thread.meet('b');
  assert.deepEqual(met, ['b']);
  assert.deepEqual(thread.current()!.chain, [first, second]);
  assert.equal(thread.current()!.hash, hashOfVersion(encodeVersion(second)));

  // lists of rows are as old as the last word, and only then
  const { wordMs } = thread.current()!;
  const changed = () => new Promise<void>((resolve) => void thread.onChange(() => resolve()));
  let next = changed();
  ring.set(viewOfTwo(first, second));
  await next;
  assert.equal(thread.current()!.wordMs, wordMs);
  next = changed();
  ring.set(viewOfTwo(first, second, new Map([['a', 1]])));
  await next;
  assert.ok(thread.current()!.wordMs > wordMs);
  assert.equal(thread.current()!.words.get('a'), 1);

  // where a member is now is known when the process has looked for it, and whoever waits hears of it
  next = changed();
  await thread.seek(['b']);
  await next;
  assert.equal(thread.addressOf('b'), 'found:1');
});

test('an answer that was overtaken by newer addresses does not take them back', async () => {
  const version = ringOf(membersOf(3, 0), 16, 3);
  const bytes = encodeVersion(version);
  const hash = hashOfVersion(bytes);
  const { own, other } = ringPorts();
  const thread = new ThreadRing(other, systemClock);
  const told = (address: string, turn: number) => ({ addresses: new Map([['a', address]]), turn });
  const updates = new Channel<RingThreadRole>(own.updates);
  const update = { hashes: [hash], added: [[hash, bytes]] as const, confirmed: 1, words: new Map() };
  const role: RingHostRole = {
    meet: async () => 0,
    async seek() {
      // read before the member moved
      const found = told('10.0.0.1:1', 1);
      await updates.call('update', { ...update, ...told('10.0.0.1:2', 2) });
      return found;
    },
  };
  serve(own.calls, role);
  await thread.seek(['a']);
  assert.equal(thread.addressOf('a'), '10.0.0.1:2');
  own.calls.close();
  own.updates.close();
});
