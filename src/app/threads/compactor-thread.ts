import type { CompactionRun, CompactionRunAnswer, CompactionRunner } from '../../compactor/compaction-run.ts';
import { WorkerThread, workerUrl } from '../../kit/thread/worker.ts';
import type { CompactorData, CompactorRole } from './compactor-role.ts';

/** Runs of the compactor, each in a thread of its own. */
export class CompactorThread implements CompactionRunner {
  readonly #data: CompactorData;

  constructor(data: CompactorData) {
    this.#data = data;
  }

  async run(run: CompactionRun, signal: AbortSignal): Promise<CompactionRunAnswer> {
    const url = workerUrl('./compactor-worker', import.meta.url);
    const worker = WorkerThread.start<CompactorRole>({ name: 'compactor', url, data: this.#data });
    try {
      return await worker.channel.call('run', run, { signal });
    } finally {
      await worker.terminate();
    }
  }
}
