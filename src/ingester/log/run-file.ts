import path from 'node:path';
import type { SavedLoss } from './checkpoint.ts';
import type { Disk } from './disk.ts';

// The run of the machine that a folder was written under last, and what earlier ones lost (docs/formats/wal.md).

export const RUN_FILE = 'log.run';
/** The run that a folder is of when all of it is synced. */
const CLOSED = 'closed';
const FILE_BYTES_MAX = 1 << 20;
const LOSSES_MAX = 1000;

/** A folder's own knowledge of what its machine lost. */
export class RunFile {
  readonly #disk: Disk;
  readonly #file: string;
  readonly #run: string;
  /** Whether the machine stopped, and took with it what was not synced, since the folder was written last. */
  readonly isCut: boolean;
  #losses: readonly SavedLoss[];

  /** @param run the machine's own name for its run: another one the next time that it starts */
  constructor(disk: Disk, folder: string, run: string) {
    this.#disk = disk;
    this.#file = path.join(folder, RUN_FILE);
    this.#run = run;
    const last = disk.list(folder).includes(RUN_FILE) ? this.#read() : { run: CLOSED, losses: [] };
    this.isCut = last.run !== run && last.run !== CLOSED;
    this.#losses = last.losses;
    // until what was lost is written down, the folder stays one that was cut
    if (!this.isCut) this.#write(run);
  }

  get losses(): readonly SavedLoss[] {
    return this.#losses;
  }

  /** Writes down what a cut took, and that the folder is of this run from now on. */
  lost(losses: readonly SavedLoss[]): void {
    this.#losses = [...this.#losses, ...losses].slice(-LOSSES_MAX);
    this.#write(this.#run);
  }

  /** All is synced. */
  close(): void {
    this.#write(CLOSED);
  }

  /** @throws where the file is damaged */
  #read(): { readonly run: string; readonly losses: readonly SavedLoss[] } {
    const from = this.#disk.open(this.#file);
    const bytes = new Uint8Array(Math.min(from.bytes, FILE_BYTES_MAX));
    from.read(bytes, 0);
    from.close();
    try {
      const { run, losses } = JSON.parse(new TextDecoder().decode(bytes));
      if (typeof run === 'string' && Array.isArray(losses)) return { run, losses };
    } catch {}
    // it is written whole, so this is none of ours: better to say that something may be missing
    return { run: '', losses: [] };
  }

  #write(run: string): void {
    this.#disk.writeWhole(this.#file, new TextEncoder().encode(JSON.stringify({ run, losses: this.#losses })));
  }
}
