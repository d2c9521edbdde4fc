import type { CompactionReport } from '../contract/control.ts';
import { type CompactionRequest, Compactor, type CompactorOptions } from './compactor.ts';

/** Runs are done for the compactor's service by a thread that comes for each and goes afterwards, or by this one. */
export interface CompactionRunner {
  run(run: CompactionRun, signal: AbortSignal): Promise<CompactionRunAnswer>;
}

export interface CompactionRun extends Omit<CompactionRequest, 'signal'> {
  /** The sweeper's knowledge from runs before. */
  readonly firstSeen: ReadonlyMap<string, number>;
}

export interface CompactionRunAnswer {
  readonly report: CompactionReport;
  readonly firstSeen: ReadonlyMap<string, number>;
}

/** A run in this thread, by a compactor of its own. */
export async function runCompactor(
  options: CompactorOptions,
  { firstSeen, ...request }: CompactionRun,
  signal: AbortSignal,
): Promise<CompactionRunAnswer> {
  const compactor = new Compactor(options);
  compactor.sweeper.firstSeen = firstSeen;
  const report = await compactor.run({ ...request, signal });
  return { report, firstSeen: compactor.sweeper.firstSeen };
}
