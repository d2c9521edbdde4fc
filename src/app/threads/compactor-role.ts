import type { StoreSpec } from '../../chunkstore/open.ts';
import type { CompactionRequest } from '../../compactor/compactor.ts';
import type { CompactorConfig } from '../../compactor/config.ts';
import type { CompactionReport } from '../../contract/control.ts';
import type { CallContext } from '../../kit/thread/channel.ts';

// What the compactor's worker answers to: it comes for a run and goes afterwards, with all the memory that it took.

export type CompactorRole = {
  run(request: WorkerRunRequest, call: CallContext): Promise<WorkerRunAnswer>;
};

export interface WorkerRunRequest extends Omit<CompactionRequest, 'signal'> {
  /** What the sweeper learned in runs before. */
  readonly firstSeen: ReadonlyMap<string, number>;
}

export interface WorkerRunAnswer {
  readonly report: CompactionReport;
  readonly firstSeen: ReadonlyMap<string, number>;
}

export interface CompactorData {
  readonly store: StoreSpec;
  readonly config: CompactorConfig;
  readonly deleteRequestCancelPeriodMs: number;
}
