import { workerData } from 'node:worker_threads';
import { Kernel } from '../../chunk/kernel.ts';
import { openStore } from '../../chunkstore/open.ts';
import { runCompactor } from '../../compactor/compaction-run.ts';
import { serveWorker } from '../../kit/thread/worker.ts';
import { systemClock } from '../../lib/clock.ts';
import { systemRandom } from '../../lib/random.ts';
import type { CompactorData, CompactorRole } from './compactor-role.ts';
import { localTableSizes } from './local-table-sizes.ts';

// Merging, sweeping and dropping, in a thread of its own: it comes for a run and goes afterwards.

const { store, config, deleteRequestCancelPeriodMs, walAgeMaxMs } = workerData as CompactorData;

const role: CompactorRole = {
  async run(request, { signal }) {
    const opened = await openStore(store, systemClock);
    const options = {
      schema: opened.schema,
      kernels: { read: Kernel.create(), write: Kernel.create() },
      clock: systemClock,
      random: systemRandom,
      config,
      deleteRequestCancelPeriodMs,
      walAgeMaxMs,
      sizes: localTableSizes(opened.schema, store),
    };
    try {
      return await runCompactor(options, request, signal);
    } finally {
      await opened.close();
    }
  },
};
serveWorker(role);
