import type { CompactionReport } from '../contract/control.ts';
import { type CompactionRequest, Compactor, type CompactorOptions } from './compactor.ts';

/** What the compactor's service has its runs done by: a thread that comes for each and goes afterwards, or this one. */
export interface CompactionRunner {
  run(run: CompactionRun, signal: AbortSignal): Promise<CompactionRunAnswer>;
}

export interface CompactionRun extends Omit<CompactionRequest, 'signal'> {
  /** What the sweeper learned in runs before. */
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
