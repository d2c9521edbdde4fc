import type { RingVersion } from '../../src/ring/version.ts';
import { changingRingNodes } from './changing-ring.ts';
import type { NodePlan } from './cluster.ts';
import { machineOf, Stage, type StageOptions } from './stage.ts';

// Scenarios that a script directs: each is an interleaving that a rule is there for, which chance finds rarely or never. With all
// rules they pass; without the one that they are written for they do not.

const MINUTE = 60_000;

interface Script {
  readonly what: string;
  readonly nodes: readonly NodePlan[];
  readonly seed?: number;
  readonly play: (stage: Stage) => Promise<void>;
}

/** Machines of three zones: `ingester-0`, `-3` and `-6` are in the first. */
function growing(first: number): readonly NodePlan[] {
  return changingRingNodes({ ingesters: 6, first, zones: 3, replicas: 3, fronts: 2, compactors: 0 });
}

const has = (name: string) => (version: RingVersion) => version.members.some(({ id }) => machineOf(id) === name);
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
  'a writer of a version whose time is over': {
    what: 'a writer that knows no newer version reaches two owners, of which one has given its word',
    nodes: growing(3),
    async play(stage) {
      await stage.begin();
      stage.cutFromKv('front-1');
      stage.add('ingester-3');
      await stage.until(() => stage.counts('front-0', has('ingester-3')), 'nobody joins');
      const tenant = stage.tenantOf(stage.newest('front-0'), ['ingester-1', 'ingester-2', 'ingester-3']);
      const words = () => [...stage.node('ingester-3').parts!.ring!.rows.values()].map(({ word }) => word);
      await stage.until(() => words().every((word) => word > 0), 'words are not given');
      await stage.run(MINUTE);
      stage.cut(['front-1'], ['ingester-2']);
      await stage.push('front-1', { tenant });
      stage.cut(['front-0'], ['ingester-0', 'ingester-1']);
      await stage.ask('front-0', { tenant });
    },
  },
  'two owners that are taken out': {
    what: 'two owners of an arc are cut off from the key-value store until they are taken out; a reader knows no better than they',
    nodes: growing(5),
    async play(stage) {
      await stage.begin();
      await stage.until(() => stage.counts('front-1', ({ members }) => members.length === 5), 'not all join');
      const [a, b, c] = ['ingester-0', 'ingester-1', 'ingester-2'];
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
} satisfies Record<string, Script>;

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
