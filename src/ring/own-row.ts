import type { KvClient } from '../kv/client.ts';
import type { Clock } from '../lib/clock.ts';
import { ringErrors } from '../model/errors-ring.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { MemberFile } from './member-file.ts';
import type { RingReader } from './reader.ts';
import { beatOf, encodeRow, type MemberRow, NO_BEAT, rowKey } from './row.ts';

export interface OwnRowOptions {
  readonly kv: KvClient;
  readonly clock: Clock;
  readonly reader: RingReader;
  readonly file: MemberFile;
  readonly heartbeats: Heartbeats;
  /** A number of its own for each start. */
  readonly boot: string;
  /** Content of the row, beside who says it. */
  readonly says: () => Omit<MemberRow, 'id' | 'boot' | 'beat'>;
  /** Called where the store has an older row, or none. */
  readonly onLost: () => void;
  /** Called when the store has it. */
  readonly onWritten: () => void;
}

/** A member's own row in the key-value store, which it alone writes: each write is a heartbeat. */
export class OwnRow {
  readonly #options: OwnRowOptions;
  readonly #id: string;
  /** As the store last answered that it has it. */
  #row: MemberRow | undefined;
  #beat: number;
  /** Whether another process lives under this id, later than this one. */
  isTwice = false;

  constructor(options: OwnRowOptions) {
    this.#options = options;
    const { saved, firstBeat } = options.file;
    this.#id = saved.id;
    this.#beat = firstBeat;
  }

  /** The row as the store last answered that it has it; undefined: nothing is written yet. */
  get written(): MemberRow | undefined {
    return this.#row;
  }

  /** Whether the store may have another row than the last one of which it answered that it has it. */
  get isUnsure(): boolean {
    return this.#row?.beat !== this.#beat;
  }

  /** The newest heartbeat, which the store may not have yet. */
  get beat(): number {
    return this.#beat;
  }

  /** Whether there is something to say, or a heartbeat is due. */
  get isDue(): boolean {
    const row = this.#row;
    const { clock, heartbeats } = this.#options;
    if (row === undefined || this.isUnsure || heartbeats.isDue(clock.monotonicMs())) return true;
    return JSON.stringify({ ...this.#now(), beat: row.beat }) !== JSON.stringify(row);
  }

  #now(): MemberRow {
    const { boot, says } = this.#options;
    return { id: this.#id, boot, beat: this.#beat, ...says() };
  }

  /**
   * A heartbeat. Finds out whether the store still has the last one: who did not lose that lost nothing that was written before it.
   * @throws errors.ringRaced, errors.ringMemberTwice
   */
  async write(): Promise<void> {
    const { kv, clock, reader, file, heartbeats, boot: ownBoot, onLost, onWritten } = this.#options;
    const key = rowKey(this.#id);
    const found = await reader.call((signal) => kv.get(key, signal));
    const last = this.#row;
    const { beat, boot } = found === undefined ? NO_BEAT : beatOf(found.value);
    if (last === undefined) {
      const beats = reader.rows.get(this.#id)?.beat ?? 0;
      if (file.saved.boots > 1 && beat < file.saved.beats) onLost();
      this.#beat = Math.max(this.#beat, beats, beat);
    } else if (boot !== ownBoot && beat > last.beat) {
      // the folder was copied, or this process should be dead: the later one goes on
      this.isTwice = true;
      throw ringErrors.ringMemberTwice({ id: this.#id });
    } else if (beat < last.beat) {
      // neither the last that was answered is there, nor a later one whose answer was lost
      onLost();
    }
    file.mayBeat(this.#beat + 1, last?.beat);
    this.#beat++;
    const row = this.#now();
    if (!(await reader.call((signal) => kv.compareAndSet(key, found?.revision, encodeRow(row), signal)))) {
      throw ringErrors.ringRaced({});
    }
    this.#row = row;
    heartbeats.written(clock.monotonicMs());
    onWritten();
  }
}
