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
  #reachMs: number;
  /** Whether what a cut took is written down. */
  #isTold = false;

  /** @param run the machine's own name for its run: another one the next time that it starts */
  constructor(disk: Disk, folder: string, run: string) {
    this.#disk = disk;
    this.#file = path.join(folder, RUN_FILE);
    this.#run = run;
    const last = disk.list(folder).includes(RUN_FILE) ? this.#read() : NEW;
    this.isCut = last.run !== run && last.run !== CLOSED;
    this.#losses = last.losses;
    this.#reachMs = last.reachMs;
    // until what was lost is written down, the folder stays one that was cut
    if (!this.isCut) this.#write(run);
  }

  get losses(): readonly SavedLoss[] {
    return this.#losses;
  }

  /** Age behind the newest sample that none exceeded as it was taken: what a part of the log that cannot be read held is no older. */
  get reachMs(): number {
    return this.#reachMs;
  }

  /** Writes down that samples of this age are taken, before the first of them is acknowledged. @throws where it cannot: none is */
  reach(reachMs: number): void {
    const before = this.#reachMs;
    this.#reachMs = reachMs;
    try {
      // a folder that was cut stays one until what it lost is written down
      this.#write(this.isCut && !this.#isTold ? '' : this.#run);
    } catch (error) {
      this.#reachMs = before;
      throw error;
    }
  }

  /** Writes down what a cut took, and that the folder is of this run from now on. */
  lost(losses: readonly SavedLoss[]): void {
    this.#losses = [...this.#losses, ...losses].slice(-LOSSES_MAX);
    this.#isTold = true;
    this.#write(this.#run);
  }

  /** All is synced. */
  close(): void {
    this.#write(CLOSED);
  }

  /** @throws where the file is damaged */
  #read(): RunNote {
    const from = this.#disk.open(this.#file);
    const bytes = new Uint8Array(Math.min(from.bytes, FILE_BYTES_MAX));
    from.read(bytes, 0);
    from.close();
    try {
      const { run, losses, reachMs } = JSON.parse(new TextDecoder().decode(bytes));
      // written before ages were: samples of any may have been taken
      const age = typeof reachMs === 'number' ? reachMs : Number.POSITIVE_INFINITY;
      if (typeof run === 'string' && Array.isArray(losses)) return { run, losses, reachMs: age };
    } catch {}
    // it is written whole, so this is none of ours: better to say that something may be missing
    return { run: '', losses: [], reachMs: Number.POSITIVE_INFINITY };
  }

  #write(run: string): void {
    const note = { run, losses: this.#losses, reachMs: this.#reachMs };
    this.#disk.writeWhole(this.#file, new TextEncoder().encode(JSON.stringify(note)));
  }
}

interface RunNote {
  readonly run: string;
  readonly losses: readonly SavedLoss[];
  readonly reachMs: number;
}

const NEW: RunNote = { run: CLOSED, losses: [], reachMs: 0 };
