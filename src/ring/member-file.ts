import type { Clock } from '../lib/clock.ts';
import type { RandomBytes } from '../lib/random.ts';
import { ringErrors } from '../model/errors-ring.ts';
import type { RingFolder, SavedMember } from './folder.ts';
import { nameOf } from './plan.ts';

export interface MemberFileOptions {
  readonly folder: RingFolder;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly name: string;
  readonly hasLog: boolean;
  readonly walAgeMaxMs: number;
  readonly takeOldLog: boolean;
}

/** Heartbeats that may be said before their number is saved again: a store that went back further is known at the next start. */
const BEATS_SAVED = 120;

/** A member's memory of itself over restarts. Opening it is a start: it is counted. */
export class MemberFile {
  /** As the file was before this start; a new one where there was none. */
  readonly before: SavedMember;
  /** A heartbeat beyond all that earlier starts said, whatever the store remembers of them. */
  readonly firstBeat: number;
  readonly #folder: RingFolder;
  readonly #clock: Clock;
  #saved: SavedMember;

  /** @throws errors.ringFolderDamaged, errors.ringNameDiffers, errors.ringLogTooOld */
  constructor({ folder, clock, randomBytes, name, hasLog, walAgeMaxMs, takeOldLog }: MemberFileOptions) {
    this.#folder = folder;
    this.#clock = clock;
    const saved = folder.member();
    const nowMs = clock.nowMs();
    if (saved !== undefined) {
      if (nameOf(saved.id) !== name) throw ringErrors.ringNameDiffers({ name, id: saved.id });
      const ageMs = nowMs - saved.ranMs;
      if (hasLog && ageMs > walAgeMaxMs && !takeOldLog) {
        throw ringErrors.ringLogTooOld({ ageMs, limitMs: walAgeMaxMs });
      }
    }
    this.before = saved ?? {
      id: `${name}-${Buffer.from(randomBytes(6)).toString('hex')}`,
      boots: 0,
      beats: 0,
      ranMs: nowMs,
      counts: 0,
      word: 0,
      wants: 'join',
      settling: false,
      secret: '',
    };
    const { boots, beats, beatsMax = beats + (1 + boots) * BEATS_SAVED } = this.before;
    this.firstBeat = boots === 0 ? 0 : beatsMax + 1;
    this.#saved = { ...this.before, boots: boots + 1, beatsMax: this.firstBeat + BEATS_SAVED, ranMs: nowMs };
    folder.saveMember(this.#saved);
  }

  get saved(): SavedMember {
    return this.#saved;
  }

  save(change: Partial<SavedMember>): void {
    const next = { ...this.#saved, ...change, ranMs: this.#clock.nowMs() };
    this.#folder.saveMember(next);
    this.#saved = next;
  }

  /**
   * Makes sure that the next start says a later heartbeat than this one, before it is said.
   * @param taken the last that the store took; undefined: it took none of this start
   */
  mayBeat(beat: number, taken: number | undefined): void {
    if (beat <= this.#saved.beatsMax!) return;
    this.save({ beatsMax: beat + BEATS_SAVED, ...(taken !== undefined && { beats: taken }) });
  }

  /** Saves what it can do without after a restart. @returns why it could not: a full disk */
  trySave(change: Partial<SavedMember>): unknown {
    try {
      this.save(change);
      return undefined;
    } catch (error) {
      return error;
    }
  }
}
