import type { KvClient } from '../kv/client.ts';
import type { Clock } from '../lib/clock.ts';
import type { RandomBytes } from '../lib/random.ts';
import { ringErrors } from '../model/errors-ring.ts';
import { heldVersion, type RingBook } from './book.ts';
import { lostBelow } from './confirmation.ts';
import type { Heartbeats } from './heartbeats.ts';
import type { OwnRow } from './own-row.ts';
import { type Change, firstOwners } from './placement.ts';
import { changedParts, floorOf, memberOf, type NextParts, nextParts } from './plan.ts';
import type { Offer, RingReader } from './reader.ts';
import { encodeRow, NEWEST_KEY, secretKey, versionKey } from './row.ts';
import type { Settling } from './settling.ts';
import { RingTrim } from './trim.ts';
import { encodeVersion, type RingVersion } from './version.ts';
import type { RingView } from './view.ts';

/** Time that nobody may have named a version before the first is made, as the own heartbeats count it. */
const BEGIN_MS = 10_000;
/** Time between two looks at tenants' sizes, and at the floor. */
export const SIZES_MS = 60_000;
/** Other members may make what the first of them did not make so long after it could be. */
const TURN_MS = 15_000;

export interface VersionMakerOptions {
  readonly ownId: string;
  readonly kv: KvClient;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  readonly book: RingBook;
  readonly reader: RingReader;
  readonly row: OwnRow;
  readonly heartbeats: Heartbeats;
  readonly settling: Settling;
  readonly unhealthyMs: number;
  readonly forgetMs: number;
  readonly splitSeries: number;
  readonly replicas: number;
  readonly arcs: number;
  readonly zonesMin: number;
  /** Called when a version was made, here or elsewhere: there may be more to do. */
  readonly onNews: () => void;
}

/** Makes the next version of the ring where one is needed, and the first. */
export class VersionMaker {
  readonly #options: VersionMakerOptions;
  readonly #trim: RingTrim;
  /** Alive time since which nobody named a version. */
  #emptySince: number | undefined;
  #sizesMadeMs = 0;
  #turnSince: number | undefined;

  constructor(options: VersionMakerOptions) {
    this.#options = options;
    this.#trim = new RingTrim(options);
  }

  /**
   * Makes what is to be made.
   * @param offer as the store has it now
   * @returns whether it made a version
   */
  async next(offer: Offer): Promise<boolean> {
    const { book, reader, heartbeats, settling, ownId, splitSeries, unhealthyMs, forgetMs, onNews } = this.#options;
    const view = book.current();
    if (view === undefined) return this.#begin(offer);
    if (!offer.isOwn || settling.waitsFor(reader.rows.values()) !== undefined) return false;
    const members = view.newest.members.map(({ id }) => id);
    if (!members.includes(ownId)) return false;
    const isSizesDue = heartbeats.aliveMs - this.#sizesMadeMs >= SIZES_MS;
    const { rows, sizes } = reader;
    const limits = { unhealthyMs, forgetMs, isSizesDue };
    const parts = nextParts({ view, rows, sizes, ageMs: (id) => heartbeats.healthAgeMs(id), splitSeries, ...limits });
    if (parts === undefined) {
      this.#turnSince = undefined;
      if (!isSizesDue) return false;
      this.#sizesMadeMs = heartbeats.aliveMs;
      await this.#trim.trim(view);
      return false;
    }
    if (!this.#isTurn(members)) return false;
    if (isSizesDue) this.#sizesMadeMs = heartbeats.aliveMs;
    const isMade = await this.#make(view, offer, parts);
    onNews();
    return isMade;
  }

  /** @throws errors.ringRaced, errors.ringSettling, and what `changedParts` throws */
  async change(offer: Offer, change: Change, force: boolean): Promise<void> {
    const { book, clock, settling, reader } = this.#options;
    const view = book.current();
    if (view === undefined || !offer.isOwn) throw ringErrors.ringRaced({});
    const waiting = settling.waitsFor(reader.rows.values());
    if (waiting !== undefined && !force) throw ringErrors.ringSettling({ waiting });
    const parts = changedParts(view, change, force, clock.nowMs());
    if (!(await this.#make(view, offer, parts))) throw ringErrors.ringRaced({});
    if (force) settling.end();
  }

  /** The first that lives makes what is to be made; the others only where it does not. */
  #isTurn(ids: readonly string[]): boolean {
    const { heartbeats, ownId } = this.#options;
    this.#turnSince ??= heartbeats.aliveMs;
    if (heartbeats.firstOf(ids) !== ownId && heartbeats.aliveMs - this.#turnSince < TURN_MS) return false;
    this.#turnSince = undefined;
    return true;
  }

  /** Makes version 1, of members without history. */
  async #begin({ entry }: Offer): Promise<boolean> {
    const { reader, heartbeats, ownId, replicas, arcs, zonesMin, kv, randomBytes } = this.#options;
    const rows = [...reader.rows.values()];
    const isNamed = entry !== undefined || rows.some(({ version }) => version > 0);
    if (isNamed) this.#emptySince = undefined;
    else this.#emptySince ??= heartbeats.aliveMs;
    if (this.#emptySince === undefined || heartbeats.aliveMs - this.#emptySince < BEGIN_MS) return false;
    const ready = rows.filter((row) => row.wants === 'join' && row.complete && heartbeats.isHealthy(row.id));
    const zones = new Set(ready.map(({ zone }) => zone)).size;
    if (ready.length < replicas || zones < zonesMin || !ready.some(({ id }) => id === ownId)) return false;
    if (!this.#isTurn(ready.map(({ id }) => id))) return false;
    const cluster = Buffer.from(randomBytes(16)).toString('hex');
    const first = firstOwners(ready.map(memberOf), arcs, replicas);
    const secret = randomBytes(32);
    await reader.call((signal) => kv.compareAndSet(secretKey(cluster), undefined, secret, signal));
    const version = { cluster, number: 1, parent: undefined, floor: 1, replicas, arcs, tenants: new Map(), ...first };
    return this.#put(version, undefined);
  }

  /** Says whether a version was made from the newest. */
  async #make(view: RingView, offer: Offer, parts: NextParts): Promise<boolean> {
    const { row, settling, clock } = this.#options;
    const { losses } = settling;
    // whether the store still has what was written last: were it gone, a newer version might be as well
    await row.write();
    if (settling.losses !== losses) return false;
    const number = view.newest.number + 1;
    const floor = floorOf(view);
    const lost = lostBelow(view.chain, view.words, { floor, nowMs: clock.nowMs() });
    const { lost: _, ...newest } = view.newest;
    const made = { parent: view.hash, floor, givenUp: [], givenUpMs: 0, ...(lost.length > 0 && { lost }) };
    return this.#put({ ...newest, number, ...made, ...parts }, offer.entry?.revision);
  }

  async #put(version: RingVersion, expected: string | undefined): Promise<boolean> {
    const { kv, reader, book } = this.#options;
    const held = heldVersion(encodeVersion(version));
    await reader.call((signal) => kv.put(versionKey(held.hash), held.bytes, signal));
    const row = encodeRow({ number: version.number, hash: held.hash });
    const isMade = await reader.call((signal) => kv.compareAndSet(NEWEST_KEY, expected, row, signal));
    if (isMade) book.take(held, version.floor);
    return isMade;
  }
}
