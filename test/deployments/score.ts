import type { ServiceDeployment } from '../../src/deployments/deployment.ts';
import { DeploymentDetector } from '../../src/deployments/detector.ts';
import { systemClock } from '../../src/lib/clock.ts';
import { DEFAULT_LIMITS } from '../../src/limits/limits.ts';
import { Engine } from '../../src/promql/engine.ts';
import { EngineRunner } from '../../src/querier/engine-runner.ts';
import { QueryTurns } from '../../src/querier/turns.ts';
import type { Queryable } from '../../src/storage/queryable.ts';
import { type Fleet, fleetOf, type Truth } from './fleet.ts';

/** The outcome of detection over a fleet. */
export interface Score {
  readonly truths: number;
  readonly missed: readonly string[];
  readonly wrong: readonly string[];
  /** Ends that are off by more than some minutes. */
  readonly wrongEnds: readonly string[];
  readonly serviceDays: number;
}

/** A begin is right within this time: scrapes, and the minute it is looked at. */
const BEGIN_MS = 4 * 60_000;
const EARLY_MS = 2 * 60_000;
/** An old version that still has some instances comes back one by one: with few of them its begin is less sharp. */
const RETURN_MS = 5 * 60_000;
const END_MS = 6 * 60_000;

export function runnerOn(queryable: Queryable): EngineRunner {
  return new EngineRunner({
    engine: new Engine(),
    queryable: () => queryable,
    limits: () => DEFAULT_LIMITS,
    turns: new QueryTurns(systemClock),
    timeoutMs: 60_000,
    clock: systemClock,
  });
}

/** Looks at a fleet's day and compares. */
export async function scoreOf(seed: number): Promise<Score> {
  const fleet = fleetOf(seed);
  const detector = new DeploymentDetector({ tenant: 't', runner: runnerOn(fleet.queryable) });
  const found = new Map<string, ServiceDeployment>();
  for (const one of await detector.look(fleet.startMs, fleet.endMs, new AbortController().signal))
    found.set(one.id, one);
  return compare(
    seed,
    fleet,
    [...found.values()].filter(({ kind }) => kind !== 'restart'),
  );
}

function compare(seed: number, fleet: Fleet, found: readonly ServiceDeployment[]): Score {
  const left = new Set(found);
  const missed: string[] = [];
  const wrongEnds: string[] = [];
  const at = (ms: number | undefined) => (ms === undefined ? '–' : new Date(ms).toISOString().slice(11, 16));
  for (const truth of fleet.truths) {
    const match = [...left].find((one) => isOf(one, truth));
    if (match === undefined)
      missed.push(
        `seed ${seed}: ${truth.service} ${truth.kind} to ${truth.to[0]} at ${at(truth.beginMs)} (seen ${at(truth.seenMs)}) to ${at(truth.endMs)}`,
      );
    else {
      left.delete(match);
      const offMs = truth.endMs === undefined ? 0 : Math.abs((match.endMs ?? Number.POSITIVE_INFINITY) - truth.endMs);
      if (offMs > END_MS)
        wrongEnds.push(
          `seed ${seed}: ${truth.service} ${truth.kind} to ${truth.to[0]} at ${at(truth.beginMs)} ends ${at(truth.endMs)}, found ${at(match.endMs)}`,
        );
    }
  }
  const wrong = [...left].map(
    (one) =>
      `seed ${seed}: ${one.service.name} ${one.kind} to ${one.to} by ${one.evidence} at ${at(one.beginMs)} to ${at(one.endMs)}`,
  );
  return { truths: fleet.truths.length, missed, wrong, wrongEnds, serviceDays: fleet.services.length };
}

function isOf(found: ServiceDeployment, truth: Truth): boolean {
  return (
    found.service.name === truth.service &&
    found.kind === truth.kind &&
    truth.to.some((to) => found.to === to || found.to.startsWith(to)) &&
    found.beginMs >= truth.beginMs - (truth.kind === 'rollback' ? RETURN_MS : EARLY_MS) &&
    found.beginMs <= truth.seenMs + (truth.kind === 'rollback' ? RETURN_MS : BEGIN_MS)
  );
}
