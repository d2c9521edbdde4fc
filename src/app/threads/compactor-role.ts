import type { StoreSpec } from '../../chunkstore/open.ts';
import type { CompactionRun, CompactionRunAnswer } from '../../compactor/compaction-run.ts';
import type { CompactorConfig } from '../../compactor/config.ts';
import type { CallContext } from '../../kit/thread/channel.ts';

// The compactor's worker answers to these calls. It comes for a run and goes afterwards, with all the memory that it took.

export type CompactorRole = {
  run(request: CompactionRun, call: CallContext): Promise<CompactionRunAnswer>;
};

export interface CompactorData {
  readonly store: StoreSpec;
  readonly config: CompactorConfig;
  readonly deleteRequestCancelPeriodMs: number;
  readonly walAgeMaxMs: number;
}
