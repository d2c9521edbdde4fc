import { kindOf, ROW_GROUP, ROW_LABEL } from '../../src/chunkstore/keys.ts';
import { compactorConfig } from '../../src/compactor/config.ts';
import { defaultsOf } from '../../src/kit/config/section.ts';
import { throwIfFenced } from '../../src/lib/fenced-signal.ts';
import { NEWEST_KEY } from '../../src/ring/row.ts';
import type { RingVersion } from '../../src/ring/version.ts';
import { type ChangingRingOptions, changingRingNodes } from './changing-ring.ts';
import type { NodePlan } from './cluster.ts';
import { Wrong } from './oracle.ts';
import { DELETE_CANCEL_MS, KEEP_FLUSHED_MS } from './parts.ts';
import { fixedRingNodes, type RingClusterOptions } from './ring-nodes.ts';
import { type Line, machineOf, Stage, type StageOptions } from './stage.ts';
import { lookThrough } from './store-look.ts';

// Scenarios that a script directs: each is an interleaving that a rule is there for, which chance finds rarely or never. With all
// rules they pass; without the one that they are written for they do not.

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;
const DAY = 24 * HOUR;
const DAY_DELAY_MS = defaultsOf(compactorConfig).dayDelayMs;
/** Time for which a querier believes what it read of the store. */
const LISTS_MS = (KEEP_FLUSHED_MS * 2) / 3;
/** Owners of all arcs, where machines are no more than these. */
const OWNERS = ['ingester-0', 'ingester-1', 'ingester-2'] as const;

interface Script {
  readonly what: string;
  readonly nodes: readonly NodePlan[];
  readonly seed?: number;
  readonly play: (stage: Stage) => Promise<void>;
}

/** Machines of three zones: `ingester-0`, `-3` and `-6` are in the first. */
function growing(first: number, options: Partial<ChangingRingOptions> = {}): readonly NodePlan[] {
  return changingRingNodes({ ingesters: 6, first, zones: 3, replicas: 3, fronts: 2, compactors: 0, ...options });
}

/** Times of a ring that stays as it is for days. */
const SLOW_TIMES = {
  heartbeatMs: 15 * MINUTE,
  unhealthyMs: 90 * MINUTE,
  forgetMs: 6 * HOUR,
  walAgeMaxMs: 7 * DAY,
};

/** Three ingesters on a ring that never changes. */
function three(options: Partial<RingClusterOptions> = {}): readonly NodePlan[] {
  return fixedRingNodes({ ingesters: 3, zones: 3, replicas: 3, fronts: 2, compactors: 1, ...options });
}

/** Enough for each kind of arc. */
const TENANTS = Array.from({ length: 12 }, (_, i) => `tenant-${i}`);

const has = (name: string) => (version: RingVersion) => version.members.some(({ id }) => machineOf(id) === name);
const drains = (name: string) => (version: RingVersion) =>
  version.members.some(({ id, state }) => machineOf(id) === name && state === 'draining');
const lacks = (name: string) => (version: RingVersion) => !has(name)(version);

export const SCRIPTS = {
  'a write under a version that does not count': {
    what: 'a version is known to two of its owners and a writer; a reader asks those that do not know it',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      stage.cutFromKv('ingester-0', 'ingester-2', 'front-1');
      stage.add('ingester-3');
      await stage.until(() => has('ingester-3')(stage.newest('front-0')), 'nobody joins');
      await stage.run(20_000);
      const tenant = stage.tenantOf(stage.newest('front-0'), ['ingester-1', 'ingester-2', 'ingester-3']);
      stage.cut(['front-0'], ['ingester-0', 'ingester-2']);
      stage.cut(['front-1'], ['ingester-1', 'ingester-3']);
      await stage.push('front-0', { tenant });
      await stage.ask('front-1', { tenant });
    },
  },
  'a reader that does not know the newest version': {
    what: 'a write under a version that counts; a reader of the one before asks members that know better, and lack it',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      stage.cutFromKv('front-1');
      stage.add('ingester-3');
      await stage.until(() => stage.counts('front-0', has('ingester-3')), 'nobody joins');
      const tenant = stage.tenantOf(stage.newest('front-0'), ['ingester-1', 'ingester-2', 'ingester-3']);
      stage.cut(['front-0'], ['ingester-1']);
      await stage.pushed('front-0', { tenant });
      stage.heal();
      stage.cut(['front-1'], ['ingester-2']);
      await stage.ask('front-1', { tenant });
    },
  },
  'a reader that knows words of a version and not the next one': {
    what: 'the store of the ring goes back by a version; members put their rows back, and cannot yet put the version; a front starts',
    nodes: growing(3),
    async play(stage) {
      const newest = failPuts(stage, NEWEST_KEY);
      await stage.begin();
      await stage.run(11 * MINUTE);
      stage.add('ingester-3');
      await stage.until(() => stage.counts('front-0', has('ingester-3')), 'nobody joins');
      const joinedMs = stage.world.atMs;
      const words = () => [...stage.node('ingester-3').parts!.ring!.rows.values()].filter(({ word }) => word > 0);
      await stage.until(() => words().length >= 3, 'words are not given');
      const tenant = stage.tenantOf(stage.newest('front-0'), ['ingester-1', 'ingester-2', 'ingester-3']);
      await stage.pushed('front-0', { tenant });
      newest.fail = true;
      stage.cluster.kv.restore(stage.world.atMs - joinedMs + MINUTE);
      await stage.run(MINUTE);
      stage.restart('front-1');
      await stage.until(() => stage.node('front-1').parts?.known?.() !== undefined, 'no ring is known');
      await stage.run(15_000);
      if (has('ingester-3')(stage.newest('front-1'))) throw new Error('the version is known');
      await stage.asked('front-1', { tenant });
    },
  },
  'a writer of a version whose time is over': {
    what: 'a writer that knows no newer version reaches two owners, of which one has given its word',
    nodes: growing(3),
    play: (stage) => writeUnderOld(stage),
  },
  'a writer of a version whose time is over, and owners that have just started': {
    what: 'the same right after both were started again, so that the five minutes of the version are not over for them',
    nodes: growing(3),
    play: (stage) => writeUnderOld(stage, 'ingester-0', 'ingester-1'),
  },
  'two owners that are taken out': {
    what: 'two owners of an arc are cut off from the key-value store until they are taken out; a reader knows no better than they',
    nodes: growing(5),
    async play(stage) {
      await stage.begin();
      await stage.joined(5);
      const [a, b, c] = OWNERS;
      const tenant = stage.tenantOf(stage.newest('front-1'), [a, b, c]);
      stage.cutFromKv(a, 'front-1');
      // the second hears of nothing from shortly before the first is taken out
      await stage.run(11 * MINUTE);
      stage.cutFromKv(a, b, 'front-1');
      await stage.until(() => lacks(a)(stage.newest('front-0')), 'the first is not taken out');
      await stage.world.until(() => lacks(b)(stage.newest('front-0')), 30 * MINUTE);
      await stage.run(2 * MINUTE);
      stage.cut(['front-0'], [a, b, c]);
      await stage.push('front-0', { tenant });
      stage.heal();
      stage.cut(['front-1'], [c]);
      await stage.ask('front-1', { tenant });
    },
  },
  'two owners that drain and leave': {
    what: 'a reader has a list of rows from before two owners, which alone have a sample, wrote it to the store and gave their words',
    nodes: growing(5),
    async play(stage) {
      await stage.begin();
      await stage.joined(5);
      const [a, b, c] = OWNERS;
      const tenant = stage.tenantOf(stage.newest('front-1'), [a, b, c]);
      stage.cut(['front-0'], [c]);
      await stage.pushed('front-0', { tenant });
      await stage.ask('front-1', { tenant });
      for (const name of [a, b]) stage.ring(name, (ring) => ring.drain());
      for (let i = 0; i < 30; i++) {
        await stage.run(10_000);
        await stage.ask('front-1', { tenant });
      }
    },
  },
  'a holder that stood still until a delete request was forgotten': {
    what: 'a process is paused with a sample in memory, which is deleted meanwhile, and goes on days later',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      await stage.pushed('front-0', { tenant: 'a' });
      const holder = stage.node('ingester-0');
      holder.process!.pause();
      await stage.run(HOUR);
      await stage.delete('front-0', { tenant: 'a' });
      await stage.days(9.5);
      holder.process!.resume();
      for (let i = 0; i < 10; i++) {
        for (const front of ['front-0', 'front-1']) await stage.ask(front, { tenant: 'a', minutes: 20 * 24 * 60 });
        await stage.run(10 * MINUTE);
      }
    },
  },
  'a holder that was away while a delete request was through': {
    what: 'a process is killed with a sample in its log, which is deleted meanwhile, and starts days later',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      await stage.pushed('front-0', { tenant: 'a' });
      const holder = stage.node('ingester-0');
      await stage.run(MINUTE);
      stage.cluster.kill(holder);
      await stage.run(HOUR);
      await stage.delete('front-0', { tenant: 'a' });
      await stage.days(3);
      stage.cluster.start(holder);
      await stage.run(20 * MINUTE);
      // what is there already is hidden until then
      for (let i = 0; i < 14; i++) {
        await stage.days(0.5);
        for (const front of ['front-0', 'front-1']) await stage.ask(front, { tenant: 'a', minutes: 20 * 24 * 60 });
      }
    },
  },
  'a write that arrives after the request to delete it is through': {
    what: 'a group row is on its way to the store for days, from before a request to delete what it has',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      const held = holdWrites(stage);
      await stage.pushed('front-0', { tenant: 'a' });
      await stage.until(() => held.count > 0, 'nobody flushes', HOUR);
      await stage.run(HOUR);
      await stage.delete('front-0', { tenant: 'a' });
      const forgottenMs = 7 * DAY + DELETE_CANCEL_MS;
      await stage.days((forgottenMs - 5 * MINUTE) / DAY);
      held.release();
      await stage.days(0.5);
      for (const front of ['front-0', 'front-1']) await stage.ask(front, { tenant: 'a', minutes: 20 * 24 * 60 });
    },
  },
  'samples of a range that is deleted': {
    what: 'what a request deletes is sent again, an hour later and a day',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      const timeMs = Math.floor(stage.world.nowMs);
      await stage.pushed('front-0', { tenant: 'a', timeMs });
      await stage.delete('front-0', { tenant: 'a' });
      for (const hours of [1.5, 9]) {
        await stage.run(hours * HOUR);
        for (const [i, value] of [1, 2].entries()) {
          const status = await stage.push(`front-${i}`, { tenant: 'a', timeMs, value });
          if (status !== 400) throw new Wrong(`a sample that is deleted is sent again, the answer is ${status}`);
        }
        await stage.ask('front-1', { tenant: 'a', minutes: 24 * 60 });
      }
    },
  },
  'a late sample that a power cut takes': {
    what: 'a machine stops right after the first sample of a window of hours ago; a reader asks it and one that never had it',
    seed: 2,
    nodes: three(),
    async play(stage) {
      await stage.begin();
      await stage.pushed('front-0', { tenant: 'a' });
      await stage.run(10 * HOUR);
      stage.cut(['front-0'], ['ingester-2']);
      const timeMs = Math.floor(stage.world.nowMs) - 5 * HOUR;
      await stage.pushed('front-0', { tenant: 'a', timeMs });
      const holder = stage.node('ingester-0');
      await stage.run(100);
      stage.cluster.crash(holder);
      stage.cluster.start(holder);
      await stage.until(() => stage.cluster.isReady, 'it does not start');
      stage.cut(['front-1'], ['ingester-1']);
      await stage.ask('front-1', { tenant: 'a', minutes: 5, toMs: timeMs + MINUTE });
    },
  },
  'a late sample that rots': {
    what: 'the record with the only sample of a window of hours ago rots in the log of one owner; a reader asks it and one that never had it',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      await stage.pushed('front-0', { tenant: 'a' });
      await stage.run(10 * HOUR);
      await stage.pushed('front-0', { tenant: 'a' });
      stage.cut(['front-0'], ['ingester-2']);
      const holder = stage.node('ingester-0');
      const before = holder.disk.logLengths();
      const timeMs = Math.floor(stage.world.nowMs) - 5 * HOUR;
      await stage.pushed('front-0', { tenant: 'a', timeMs });
      const after = holder.disk.logLengths();
      await stage.pushed('front-0', { tenant: 'a' });
      stage.cluster.kill(holder);
      if (holder.disk.rot(before, after) === 0) throw new Error('nothing rots');
      stage.cluster.start(holder);
      await stage.until(() => stage.cluster.isReady, 'it does not start');
      stage.cut(['front-1'], ['ingester-1']);
      await stage.ask('front-1', { tenant: 'a', minutes: 5, toMs: timeMs + MINUTE });
    },
  },
  'a folder that is lost beside a cut': {
    what: 'a member loses its folder while another owner lacks what it had; its machine starts anew',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      const [a, b, c] = OWNERS;
      const tenant = stage.tenantOf(stage.newest('front-1'), [a, b, c]);
      stage.cut(['front-0'], [c]);
      await stage.pushed('front-0', { tenant });
      stage.cluster.kill(stage.node(a));
      stage.node(a).disk.wipe();
      await stage.run(5_000);
      stage.cluster.start(stage.node(a));
      stage.cut(['front-1'], [b]);
      await stage.askEachMinute('front-1', 8, [tenant]);
    },
  },
  'arcs that move twice before a window is flushed': {
    what: 'two owners that alone have a sample lose its arc to newcomers, long before the sample is due',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      stage.cut(['front-0'], ['ingester-2']);
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant });
      stage.heal();
      stage.add('ingester-3', 'ingester-4');
      const areIn = (version: RingVersion) => has('ingester-3')(version) && has('ingester-4')(version);
      await stage.until(() => stage.counts('front-1', areIn), 'nobody joins');
      await stage.askEachMinute('front-1', 16, TENANTS);
    },
  },
  'a power cut before an arc moves': {
    what: 'one of two that have a sample loses it with its machine; then the other loses the arc to a newcomer',
    seed: 2,
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant, series: 'first' });
      await stage.run(5_000);
      stage.cut(['front-0'], ['ingester-2']);
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant });
      stage.heal();
      await stage.run(10);
      stage.cluster.crash(stage.node('ingester-1'));
      stage.cluster.start(stage.node('ingester-1'));
      stage.add('ingester-3');
      await stage.until(() => stage.counts('front-1', has('ingester-3')), 'nobody joins');
      await stage.askEachMinute('front-1', 16, TENANTS);
    },
  },
  'a key-value store that is emptied': {
    what: 'the store of the ring loses all, and a front starts',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      const tenant = 'a';
      await stage.pushed('front-0', { tenant });
      stage.cluster.kv.empty();
      await stage.run(2 * MINUTE);
      stage.restart('front-1');
      await stage.run(MINUTE);
      await stage.asked('front-1', { tenant });
    },
  },
  'a key-value store that goes back while one knows no better': {
    what: 'a version is known to all but one; the store goes back to the one before, and only that one reaches it',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      await stage.run(10 * MINUTE);
      const one = 'ingester-2';
      stage.cutFromKv(one);
      stage.add('ingester-3');
      await stage.until(() => has('ingester-3')(stage.newest('front-0')), 'nobody joins');
      stage.cluster.kv.restore(MINUTE);
      stage.cutFromKv('ingester-0', 'ingester-1', 'ingester-3', 'front-0', 'front-1');
      stage.add('ingester-4');
      await stage.run(4 * MINUTE);
      stage.cutFromKv();
      const all = ['ingester-0', 'ingester-1', one, 'ingester-3', 'ingester-4'];
      const hashes = () => new Set(all.map((name) => stage.node(name).parts?.known?.()?.hash));
      const isOne = () => hashes().size === 1 && stage.counts(one, ({ members }) => members.length === all.length);
      if (!(await stage.world.until(isOne, 6 * MINUTE))) throw new Wrong('members never come to one version');
    },
  },
  'words of two that left, in a store that goes back': {
    what: 'two owners wrote what they had, gave their words and left; then the store goes back to before, and all others start anew',
    nodes: growing(5),
    async play(stage) {
      await stage.begin();
      await stage.joined(5);
      const gone = ['ingester-0', 'ingester-1'] as const;
      const tenant = stage.tenantOf(stage.newest('front-1'), [...gone, 'ingester-2']);
      await stage.run(9 * MINUTE);
      stage.cut(['front-0'], ['ingester-2']);
      await stage.pushed('front-0', { tenant });
      await stage.run(MINUTE);
      stage.heal();
      for (const name of gone) stage.ring(name, (ring) => ring.drain());
      await stage.until(() => stage.counts('front-0', ({ members }) => members.length === 3), 'they do not leave');
      await stage.run(MINUTE);
      for (const name of gone) stage.remove(name);
      stage.cluster.kv.restore(2 * MINUTE);
      await stage.run(90_000);
      for (const name of ['ingester-2', 'ingester-3', 'ingester-4', 'front-1']) stage.restart(name);
      await stage.run(MINUTE);
      await stage.asked('front-1', { tenant });
    },
  },
  'a folder that is lost beside a power cut': {
    what: 'of two that have a sample one loses it with its machine and the other its folder; an operator gives up whom the ring does not',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      const [a, b, c] = OWNERS;
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant, series: 'first' });
      await stage.run(5_000);
      stage.cut(['front-0'], [c]);
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant });
      stage.heal();
      await stage.run(10);
      stage.cluster.crash(stage.node(b));
      stage.cluster.start(stage.node(b));
      await stage.run(MINUTE);
      const lost = stage.node(a).parts!.ring!.id;
      stage.cluster.kill(stage.node(a));
      stage.node(a).disk.wipe();
      await stage.run(MINUTE);
      stage.cluster.start(stage.node(a));
      await stage.run(10 * MINUTE);
      if (stage.newest(c).members.some(({ id }) => id === lost)) {
        stage.ring(c, (ring) => ring.change({ kind: 'remove', id: lost }, { force: true }));
      }
      await stage.run(20 * MINUTE);
      for (const tenant of TENANTS) await stage.asked('front-1', { tenant });
    },
  },
  'a power cut after a folder that was lost': {
    what: 'a member loses its folder and is replaced; then the machine of another that had arcs with it stops; an operator gives up the first',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      const [a, b, c] = OWNERS;
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant, series: 'first' });
      const lost = stage.node(a).parts!.ring!.id;
      stage.cluster.kill(stage.node(a));
      stage.node(a).disk.wipe();
      stage.cluster.start(stage.node(a));
      const isReplaced = ({ members }: RingVersion) => !members.some(({ id }) => id === lost);
      await stage.until(() => stage.counts('front-1', isReplaced), 'it is not replaced');
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant });
      await stage.run(10);
      stage.cluster.crash(stage.node(b));
      stage.cluster.start(stage.node(b));
      await stage.run(20 * MINUTE);
      // one counts, one has lost something, and nobody knows the way to the third
      const answers = [];
      for (const tenant of TENANTS) answers.push(await stage.ask('front-1', { tenant }));
      if (!answers.some((each) => each instanceof Error)) throw new Error('nothing was lost');
      stage.ring(c, (ring) => ring.change({ kind: 'remove', id: lost }, { force: true }));
      await stage.run(MINUTE);
      for (const tenant of TENANTS) await stage.asked('front-1', { tenant });
    },
  },
  'an owner that is given up': {
    what: 'one of two that have a sample dies, and an operator gives it up; a reader does not reach the other',
    nodes: growing(4),
    async play(stage) {
      await stage.begin();
      // its heartbeats were seen
      await stage.run(2 * MINUTE);
      const [a, b, c] = OWNERS;
      const tenant = stage.tenantOf(stage.newest('front-1'), [a, b, c]);
      stage.cut(['front-0'], [c]);
      await stage.pushed('front-0', { tenant });
      const { id } = stage.node(a).parts!.ring!;
      stage.remove(a);
      stage.ring(c, (ring) => ring.change({ kind: 'remove', id }, { force: true }));
      const isGivenUp = () => stage.counts('front-1', lacks(a));
      if (!(await stage.world.until(isGivenUp, 5 * MINUTE))) throw new Wrong('one that is given up is a member again');
      stage.cut(['front-1'], [b]);
      await stage.askEachMinute('front-1', 8, [tenant]);
    },
  },
  'two owners that are given up': {
    what: 'both owners that have a sample die, and an operator gives them up; the third says that the store has all of its own',
    nodes: growing(5),
    async play(stage) {
      await stage.begin();
      await stage.joined(5);
      const [a, b, c] = OWNERS;
      const tenant = stage.tenantOf(stage.newest('front-1'), [a, b, c]);
      stage.cut(['front-0'], [c]);
      await stage.pushed('front-0', { tenant });
      const ids = [a, b].map((name) => stage.node(name).parts!.ring!.id);
      for (const name of [a, b]) stage.remove(name);
      for (const id of ids) {
        stage.ring(c, (ring) => ring.change({ kind: 'remove', id }, { force: true }));
        await stage.run(5_000);
      }
      await stage.until(() => stage.counts('front-1', ({ members }) => members.length === 3), 'they are not given up');
      const { number } = stage.newest('front-1');
      const isForgotten = () => stage.newest('front-1').floor >= number - 1;
      await stage.until(isForgotten, 'the floor does not rise', 40 * MINUTE);
      await stage.asked('front-1', { tenant });
    },
  },
  'a tenant that outgrows its slot before a window is flushed': {
    what: 'two owners of the only slot of a tenant have samples; then it has many slots, of which other members own some',
    nodes: growing(6),
    async play(stage) {
      await stage.begin();
      await stage.joined(6);
      const tenant = stage.tenantOf(stage.newest('front-1'), OWNERS);
      const lines = Array.from({ length: 30 }, (_, i) => ({ tenant, metric: `m${i}` }));
      stage.cut(['front-0'], ['ingester-2']);
      for (const line of lines) await stage.pushed('front-0', line);
      await stage.until(
        () => stage.counts('front-1', ({ tenants }) => tenants.has(tenant)),
        'the tenant does not grow',
      );
      for (const line of lines) await stage.asked('front-1', line);
    },
  },
  'one that leaves before two lose something': {
    what: 'one of three owners drains, says that the store has all that it held, and leaves; then the machines of the others stop',
    nodes: growing(5),
    async play(stage) {
      await stage.begin();
      await stage.joined(5);
      const [a, b, c] = OWNERS;
      const tenant = stage.tenantOf(stage.newest('front-1'), [a, b, c]);
      await stage.pushed('front-0', { tenant });
      stage.ring(b, (ring) => ring.drain());
      await stage.until(() => stage.counts('front-1', lacks(b)), 'it does not leave');
      stage.remove(b);
      for (const each of TENANTS) await stage.pushed('front-0', { tenant: each });
      await stage.pushed('front-0', { tenant });
      await stage.run(10);
      for (const name of [a, c]) stage.cluster.crash(stage.node(name));
      for (const name of [a, c]) stage.cluster.start(stage.node(name));
      await stage.until(() => stage.cluster.isReady, 'they do not start');
      await stage.asked('front-1', { tenant });
    },
  },
  'two that lost something beside one that is cut off': {
    what: 'the machines of two owners stop before they have synced a sample; a reader does not reach the third, which has it',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      const [a, b, c] = OWNERS;
      await stage.pushed('front-0', { tenant: 'a', series: 'first' });
      await stage.run(5_000);
      stage.cut(['front-0'], [b]);
      for (const tenant of ['a', ...TENANTS]) await stage.pushed('front-0', { tenant });
      await stage.run(10);
      for (const name of [a, b]) stage.cluster.crash(stage.node(name));
      for (const name of [a, b]) stage.cluster.start(stage.node(name));
      await stage.until(() => stage.cluster.isReady, 'they do not start');
      stage.cut(['front-1'], [c]);
      await stage.run(3 * MINUTE);
      const answer = await stage.ask('front-1', { tenant: 'a' });
      if (!(answer instanceof Error)) throw new Wrong('there is an answer although one is left to ask');
      stage.heal();
      await stage.asked('front-1', { tenant: 'a' });
    },
  },
  'all restart beside a key-value store that is empty': {
    what: 'all machines stop at once, and the store of the ring loses all',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      stage.add('ingester-3');
      await stage.until(() => stage.counts('front-0', has('ingester-3')), 'nobody joins');
      stage.cut(['front-0'], ['ingester-2']);
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant });
      stage.heal();
      const { number } = stage.newest('front-0');
      const all = stage.cluster.nodes.filter(({ isUp }) => isUp);
      for (const each of all) stage.cluster.kill(each);
      stage.cluster.kv.empty();
      for (const each of all) stage.cluster.start(each);
      if (!(await stage.world.until(() => stage.cluster.isReady, 20 * MINUTE)))
        throw new Wrong('they do not come back');
      if (stage.newest('front-0').number < number) throw new Wrong('the ring has begun anew');
      for (const tenant of TENANTS) await stage.asked('front-1', { tenant });
    },
  },
  'a tenant that outgrows its slot while a holder is away': {
    what: 'two holders write a window while its tenant has one slot; the third writes it when the tenant has many',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      const tenant = 'a';
      const metrics = (count: number) => Array.from({ length: count }, (_, i) => ({ tenant, metric: `m${i}` }));
      for (const line of metrics(4)) await stage.pushed('front-0', line);
      await stage.run(5_000);
      stage.cluster.kill(stage.node('ingester-0'));
      await stage.run(40 * MINUTE);
      stage.cluster.start(stage.node('ingester-0'));
      // its log is read while the others tell of more series
      stage.node('ingester-0').process!.pause();
      for (const line of metrics(30)) await stage.pushed('front-0', line);
      await stage.until(() => stage.newest('front-0').tenants.has(tenant), 'the tenant does not grow');
      stage.node('ingester-0').process!.resume();
      await stage.run(HOUR);
      for (const line of metrics(30)) await stage.ask('front-1', { ...line, minutes: 120 });
      const { spare, groups } = await lookThrough(stage.cluster.store.plain);
      if (spare > 0) throw new Wrong(`${spare} of ${groups} groups in the store are spare`);
    },
  },
  'a writer that does not know that an owner drains': {
    what: 'a writer of the version before reaches one that drains and one that keeps a sample, and not the third',
    nodes: growing(5),
    async play(stage) {
      await stage.begin();
      await stage.joined(5);
      const [a, b, c] = OWNERS;
      const tenant = stage.tenantOf(stage.newest('front-1'), [a, b, c]);
      stage.cutFromKv('front-1');
      stage.ring(a, (ring) => ring.drain());
      await stage.until(() => stage.counts('front-0', drains(a)), 'it does not drain');
      stage.cut(['front-1'], [c]);
      await pushRight(stage, 'front-1', { tenant });
    },
  },
  'an owner whose disk is full': {
    what: 'one owner cannot write its log, one keeps a sample, and one is cut off',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      await stage.pushed('front-0', { tenant: 'a' });
      const { disk } = stage.node('ingester-0');
      disk.bytesMax = disk.bytes;
      stage.cut(['front-0'], ['ingester-2']);
      const status = await pushRight(stage, 'front-0', { tenant: 'a', series: 'other' });
      if (status !== 503) throw new Error(`the disk is not full: ${status}`);
    },
  },
  'owners whose heads are full': {
    what: 'heads that have no room for one more series',
    nodes: three({ headBytesMax: 1 }),
    async play(stage) {
      await stage.begin();
      const status = await pushRight(stage, 'front-0', { tenant: 'a' });
      if (status !== 503) throw new Error(`heads are not full: ${status}`);
    },
  },
  'samples of old windows for an owner that reads its log': {
    what: 'all owners have two old windows, of which one owner that reads its log is told again, with one of the others cut off',
    nodes: three({ oldWindowsMax: 1 }),
    async play(stage) {
      await stage.begin();
      const nowMs = Math.floor(stage.world.nowMs);
      const old = [3, 5].map((hours) => ({ tenant: 'a', timeMs: nowMs - hours * HOUR }));
      await stage.pushed('front-0', { tenant: 'a', timeMs: nowMs - 10 * MINUTE });
      for (const line of old) {
        await stage.pushed('front-0', line);
        await stage.run(1_000);
        // windows that come from a log are nobody's
        for (const name of OWNERS) stage.restart(name);
        await stage.until(() => stage.cluster.isReady, 'they do not start');
      }
      stage.cut(['front-0'], ['ingester-2']);
      stage.restart('ingester-0');
      stage.node('ingester-0').process!.slowTurns(5 * MINUTE);
      await stage.run(100);
      for (const line of old) await pushRight(stage, 'front-0', line);
    },
  },
  'a sample that one owner has with another value': {
    what: 'a sender gives up a sample that one owner kept, and sends another value of that time; one of the other owners is cut off',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      const line = { tenant: 'a', timeMs: Math.floor(stage.world.nowMs) };
      stage.cut(['front-0'], ['ingester-1', 'ingester-2']);
      await stage.push('front-0', line);
      stage.heal();
      stage.cut(['front-0'], ['ingester-2']);
      const status = await stage.push('front-0', { ...line, value: 2 });
      if (status !== 400) throw new Wrong(`one that kept it and one that refuses it are no answer: ${status}`);
    },
  },
  'a key-value store that is away for long': {
    what: 'no member reaches the store of the ring for longer than it takes to be forgotten; then all do, one after another',
    nodes: growing(6),
    async play(stage) {
      await stage.begin();
      await stage.joined(6);
      await stage.run(2 * MINUTE);
      const { members } = stage.newest('front-0');
      stage.cutFromKv(...members.map(({ id }) => machineOf(id)));
      await stage.run(20 * MINUTE);
      stage.cutFromKv();
      for (let i = 0; i < 24; i++) {
        await stage.run(5_000);
        const left = new Set(stage.newest('front-0').members.map(({ id }) => id));
        const gone = members.find(({ id }) => !left.has(id));
        if (gone !== undefined) throw new Wrong(`${gone.id} is taken out, which was there all the time`);
      }
    },
  },
  'a ring of too few': {
    what: 'two members of a ring that wants three owners of each arc are there, and then the third',
    nodes: changingRingNodes({ ingesters: 3, first: 0, zones: 2, replicas: 3, fronts: 2, compactors: 0 }),
    play: (stage) => beginLate(stage, ['ingester-0', 'ingester-1'], 'ingester-2'),
  },
  'a ring of too few zones': {
    what: 'three members of a ring that wants three zones are there, in two of them, and then one of the third',
    nodes: growing(0),
    play: (stage) => beginLate(stage, ['ingester-0', 'ingester-1', 'ingester-3'], 'ingester-2'),
  },
  'two values of one time': {
    what: 'one owner has a value that readers prefer to that of the others; each looks first for some tenants, and a reader asks the same two',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      const [a, b, c] = OWNERS;
      const timeMs = Math.floor(stage.world.nowMs);
      stage.cut(['front-0'], [b, c]);
      for (const tenant of TENANTS) await stage.push('front-0', { tenant, timeMs, value: 2 });
      stage.heal();
      stage.cut(['front-0'], [a]);
      for (const tenant of TENANTS) await stage.pushed('front-0', { tenant, timeMs, value: 1 });
      stage.cut(['front-1'], [c]);
      for (const minutes of [1, 40]) {
        await stage.run(minutes * MINUTE);
        for (const tenant of TENANTS) {
          const [samples] = [...(await stage.asked('front-1', { tenant })).values()];
          if (samples?.get(timeMs) !== 2)
            throw new Wrong(`a sample of ${tenant} is another one ${minutes} minutes later`);
        }
      }
      const { groups } = await lookThrough(stage.cluster.store.plain);
      // where the one is first, the others have nothing to add
      if (groups >= 2 * TENANTS.length) throw new Wrong('samples are stored that nobody reads');
    },
  },
  'a window of three holders': {
    what: 'each owner lacks a sample of a window of many tenants that the others have; all look what the store lacks',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      await missOneEach(stage, TENANTS);
      await stage.run(30 * MINUTE);
      const { spare, groups } = await lookThrough(stage.cluster.store.plain);
      if (groups === 0) throw new Error('nothing is flushed');
      if (spare > 0) throw new Wrong(`${spare} of ${groups} groups in the store are spare`);
    },
  },
  'owners that are restarted in turn after a flush': {
    what: 'a front has read that the store has nothing before a window is flushed, and all owners are stopped and started after it',
    nodes: three(),
    async play(stage) {
      await stage.begin();
      await stage.pushed('front-0', { tenant: 'a' });
      const held = holdWrites(stage);
      await stage.until(() => held.count > 0, 'nobody flushes', HOUR);
      await stage.asked('front-0', { tenant: 'a' });
      held.release();
      // all owners have had their turn, and the lists are still believed
      await stage.run(LISTS_MS - MINUTE / 5);
      for (const name of OWNERS) await stage.stopAndStart(name);
      await stage.asked('front-0', { tenant: 'a' });
    },
  },
  'an object whose rows come days later': {
    what: 'an owner has put an object, and what its rows wait for takes days; compactors sweep objects that no row names',
    nodes: three({ inlineBytesMax: 0 }),
    play: (stage) => nameLate(stage, ROW_LABEL),
  },
  'an object whose rows are tried again days later': {
    what: 'an owner has put an object, and stands still before the next try of the rows that name it; compactors sweep the object',
    nodes: three({ inlineBytesMax: 0 }),
    play: (stage) => nameLate(stage, ROW_GROUP),
  },
  'a member that starts with a log of before a delete request that is forgotten': {
    what: 'a process is killed with a sample in its log, which is deleted meanwhile, and starts when the request is forgotten',
    nodes: growing(3, { ingesters: 3, compactors: 1, times: SLOW_TIMES }),
    async play(stage) {
      await stage.begin();
      await stage.pushed('front-0', { tenant: 'a' });
      await stage.run(MINUTE);
      const holder = stage.node('ingester-0');
      stage.cluster.kill(holder);
      await stage.run(HOUR);
      await stage.delete('front-0', { tenant: 'a' });
      await stage.days(7.5);
      stage.cluster.start(holder);
      for (let i = 0; i < 3; i++) {
        await stage.run(6 * MINUTE);
        for (const front of ['front-0', 'front-1']) await stage.ask(front, { tenant: 'a', minutes: 20 * 24 * 60 });
      }
    },
  },
  'a merge that goes on when another compactor has deleted what it read': {
    what: 'a compactor stands still before it writes a merged day; another one deletes a metric of that day; the first goes on',
    nodes: three({ compactors: 2 }),
    play: (stage) => mergeLate(stage, 3 * MINUTE),
  },
  'a merge that is tried again when a delete request is forgotten': {
    what: 'a compactor stands still before it writes a merged day, of which another one deletes a metric, and tries again days later',
    nodes: three({ compactors: 2 }),
    play: (stage) => mergeLate(stage, 7.5 * DAY),
  },
  'a ring that grows from three to nine and back': {
    what: 'six machines are added, and then all but three of them drain, the first three too; before each change somebody writes and reads',
    nodes: growing(3, { ingesters: 9 }),
    async play(stage) {
      await stage.begin();
      const names = Array.from({ length: 9 }, (_, i) => `ingester-${i}`);
      const ofZone = (zone: number) => names.filter((_, i) => i % 3 === zone % 3);
      let round = 0;
      const write = async () => {
        // a quorum of owners writes and another one reads
        stage.cut(['front-0'], ofZone(++round));
        for (const tenant of TENANTS) await stage.pushed('front-0', { tenant });
        stage.cut(['front-1'], ofZone(round + 1));
        for (const tenant of TENANTS) await stage.ask('front-1', { tenant, minutes: 180 });
        stage.heal();
      };
      await write();
      stage.add(...names.slice(3));
      await stage.joined(9);
      await write();
      for (const name of names.slice(0, 6)) {
        stage.ring(name, (ring) => ring.drain());
        await stage.until(() => stage.counts('front-1', lacks(name)), `${name} does not leave`, 40 * MINUTE);
        stage.remove(name);
        await write();
      }
      for (const tenant of TENANTS) await stage.asked('front-1', { tenant, minutes: 180 });
    },
  },
} satisfies Record<string, Script>;

/** Sends a sample that nothing is wrong with: it may be kept or not, but nobody may refuse it. @throws Wrong */
async function pushRight(stage: Stage, front: string, line: Line): Promise<number | 'none'> {
  const status = await stage.push(front, line);
  if (typeof status === 'number' && status >= 400 && status < 500) {
    throw new Wrong(`a sample that is as right as others is refused: ${status}`);
  }
  return status;
}

/** Members of which a ring must not begin, and the one with which it does. */
async function beginLate(stage: Stage, first: readonly string[], last: string): Promise<void> {
  for (const node of stage.cluster.nodes) stage.cluster.start(node);
  stage.add(...first);
  await stage.run(3 * MINUTE);
  if (first.some((name) => stage.node(name).parts?.known?.() !== undefined)) throw new Wrong('a ring has begun');
  stage.add(last);
  await stage.joined(first.length + 1);
  await stage.pushed('front-0', { tenant: 'a' });
  await stage.asked('front-1', { tenant: 'a' });
}

/** A writer that knows the version before the newest only reaches two owners; a reader the others. */
async function writeUnderOld(stage: Stage, ...restarted: readonly string[]): Promise<void> {
  await stage.begin();
  stage.cutFromKv('front-1');
  stage.add('ingester-3');
  await stage.until(() => stage.counts('front-0', has('ingester-3')), 'nobody joins');
  const tenant = stage.tenantOf(stage.newest('front-0'), ['ingester-1', 'ingester-2', 'ingester-3']);
  const words = () => [...stage.node('ingester-3').parts!.ring!.rows.values()].map(({ word }) => word);
  await stage.until(() => words().every((word) => word > 0), 'words are not given');
  await stage.run(MINUTE);
  for (const name of restarted) stage.restart(name);
  await stage.until(() => stage.cluster.isReady, 'they do not start');
  stage.cut(['front-1'], ['ingester-2']);
  await stage.push('front-1', { tenant });
  stage.cut(['front-0'], ['ingester-0', 'ingester-1']);
  await stage.ask('front-0', { tenant });
}

/** Sends a sample of each tenant past each of the owners, which the others have. */
async function missOneEach(stage: Stage, tenants: readonly string[]): Promise<void> {
  for (const name of OWNERS) {
    stage.cut(['front-0'], [name]);
    for (const tenant of tenants) await stage.pushed('front-0', { tenant });
    stage.heal();
  }
}

/** An owner that has samples which others lack puts an object, and its rows of a kind come days later. */
async function nameLate(stage: Stage, kind: string): Promise<void> {
  await stage.begin();
  await missOneEach(stage, ['a']);
  const held = holdWrites(stage, kind, throwIfFenced);
  await stage.until(() => held.count > 0, 'nobody flushes', HOUR);
  await stage.days(2);
  held.release();
  await stage.run(HOUR);
  for (const front of ['front-0', 'front-1']) await stage.asked(front, { tenant: 'a', minutes: 3 * 24 * 60 });
}

/** A compactor stands still for so long before it writes a merged day, of which another one deletes a metric. */
async function mergeLate(stage: Stage, stillMs: number): Promise<void> {
  await stage.begin();
  const [first, second] = ['compactor-0', 'compactor-1'].map((name) => stage.node(name).process!);
  second!.pause();
  // a single window is left as it is
  for (let window = 0; window < 2; window++) {
    for (const metric of ['m', 'kept']) await stage.pushed('front-0', { tenant: 'a', metric });
    await stage.run(HOUR);
  }
  const endMs = Math.floor(stage.world.nowMs);
  await stage.days(1);
  // not yet due when the first looks, which has the day for ten minutes from then on
  await stage.run(DAY + DAY_DELAY_MS - 0.8 * DELETE_CANCEL_MS - stage.world.atMs);
  await stage.delete('front-0', { tenant: 'a', toMs: endMs });
  const held = holdWrites(stage, ROW_GROUP, throwIfFenced);
  await stage.until(() => held.count > 0, 'nothing is merged', DELETE_CANCEL_MS);
  await stage.run(3 * MINUTE);
  second!.resume();
  await stage.days(stillMs / DAY);
  held.release();
  await stage.run(HOUR);
  first!.pause();
  await stage.days(7.5 - stillMs / DAY);
  for (const front of ['front-0', 'front-1']) {
    for (const metric of ['m', 'kept']) await stage.asked(front, { tenant: 'a', metric, minutes: 20 * 24 * 60 });
  }
}

/**
 * Keeps the first write of rows of a kind from the store until it is released; others go on.
 * @param goOn called then with the write's signal: whoever tries again asks its fence
 */
function holdWrites(
  { cluster: { store } }: Stage,
  kind = ROW_GROUP,
  goOn: (signal: AbortSignal | undefined) => void = () => {},
): { readonly count: number; release(): void } {
  const { tables } = store;
  const write = tables.write.bind(tables);
  let release = () => {};
  const released = new Promise<void>((resolve) => (release = resolve));
  let count = 0;
  tables.write = async (table, rows, signal) => {
    if (rows.some(({ hash }) => kindOf(hash) === kind) && count++ === 0) {
      await released;
      goOn(signal);
    }
    return write(table, rows, signal);
  };
  return {
    get count() {
      return count;
    },
    release,
  };
}

/** Lets puts of a key fail in the key-value store as long as it is said. */
function failPuts({ cluster: { kv } }: Stage, failing: string): { fail: boolean } {
  const of = kv.of.bind(kv);
  const state = { fail: false };
  kv.of = (process) => {
    const client = of(process);
    return {
      ...client,
      async compareAndSet(key, ...more) {
        if (state.fail && key === failing) throw new Error('the key-value store fails');
        return client.compareAndSet(key, ...more);
      },
    };
  };
  return state;
}

export type ScriptName = keyof typeof SCRIPTS;

/** Plays a script. @returns why it failed */
export async function play(name: ScriptName, options: Omit<StageOptions, 'seed'> = {}): Promise<Error | undefined> {
  const script: Script = SCRIPTS[name];
  const stage = new Stage(script.nodes, { ...options, seed: script.seed ?? 1 });
  const unowned = (error: Error) => stage.world.fail(error);
  process.on('unhandledRejection', unowned);
  try {
    await script.play(stage);
    return undefined;
  } catch (error) {
    return error as Error;
  } finally {
    process.off('unhandledRejection', unowned);
  }
}
