import { nextTurn } from '../../../lib/turn.ts';
import { encodeLabels } from '../../../model/canonical.ts';
import { Labels } from '../../../model/labels.ts';
import { labelsFault, sortPairs } from '../../../model/validate.ts';
import { SampleColumns } from '../../../storage/columns.ts';
import type { Progress } from '../progress.ts';
import { ANY_LENGTH, type StoreBatch } from '../store-batch.ts';
import { Block, blockFolders } from './block.ts';

/** Signals and progress get their turn after so many series. */
const TURN_SERIES = 256;

export interface BlockImport {
  /** The folder of a block, or of several. */
  readonly folder: string;
  readonly batch: StoreBatch;
  readonly progress: Progress;
  readonly signal: AbortSignal;
}

export interface ImportTotals {
  readonly blocks: number;
  readonly samples: number;
  /** Series that no label limits excuse, by the id of what is wrong. */
  readonly refused: ReadonlyMap<string, number>;
}

/** Takes in all samples of Prometheus' blocks. @throws BlockDamaged where one is; what was before it is in the store then */
export async function importBlocks({ folder, batch, progress, signal }: BlockImport): Promise<ImportTotals> {
  const folders = blockFolders(folder);
  const totals = { blocks: 0, samples: 0, refused: new Map<string, number>() };
  const columns = new SampleColumns();
  for (const each of folders) {
    const block = Block.open(each);
    try {
      const { numSamples, numSeries } = block.meta.stats;
      let series = 0;
      const before = totals.samples;
      for (const found of block.series()) {
        if (++series % TURN_SERIES === 0) await nextTurn();
        signal.throwIfAborted();
        const pairs = sortPairs(found.pairs);
        const fault = labelsFault(pairs, ANY_LENGTH);
        if (fault !== undefined) {
          totals.refused.set(fault.facts.id, (totals.refused.get(fault.facts.id) ?? 0) + 1);
          continue;
        }
        block.read(found, columns);
        if (columns.count === 0) continue;
        totals.samples += columns.count;
        batch.add(encodeLabels(Labels.fromSortedPairs(pairs)), columns);
        // all of a block by the same placement, whatever part of it a batch holds
        if (batch.isFull) await batch.write(Math.max(numSeries, series));
        progress.at(
          () =>
            `block ${totals.blocks + 1} of ${folders.length}, ${block.meta.ulid}: ` +
            `${totals.samples - before} of ${numSamples} samples`,
        );
      }
      // what comes next may have the same series and times
      await batch.write(Math.max(numSeries, series));
      totals.blocks++;
    } finally {
      block.close();
    }
  }
  return totals;
}
