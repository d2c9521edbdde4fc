import { setTimeout as sleep } from 'node:timers/promises';
import { until } from '../harness/wait.ts';
import type { Checker } from './checker.ts';
import type { Faults } from './faults.ts';
import type { Journal, MadeFault } from './journal.ts';
import type { MemberProcess } from './processes.ts';
import type { Services } from './services.ts';
import type { Starvation } from './starvation.ts';

const MINUTE_MS = 60_000;
export const FULL_MINUTES = 15;
/**
 * Time of the whole form in which single processes fail and nothing else: once a folder is lost, something is owed until the end, and
 * outages follow each other.
 */
const SINGLES_MS = 3 * MINUTE_MS;
/**
 * Time in which a member that lost its folder is replaced, and all that it held is in the store: 10 s until it is unhealthy, 50 s until
 * writes of the version before are over, a window and its flush (90 s), looks between them; other members are killed and stopped meanwhile.
 */
const REPLACED_MS_MAX = 5 * MINUTE_MS;
/** The same beyond that, where the machine is starved. */
const STARVED_MS_MAX = 10 * MINUTE_MS;
const UNTOUCHED_MS_MAX = 2 * MINUTE_MS;

export interface OutagesOptions {
  readonly processes: readonly MemberProcess[];
  readonly services: Services;
  readonly faults: Faults;
  readonly checker: Checker;
  readonly journal: Journal;
  readonly starvation: Starvation;
  readonly minutes: number;
  /** How long each outage lasts; undefined: two or three minutes, shortened as the run is. */
  readonly outageMs: number | undefined;
  /** Whether the key-value store is one of its own. */
  readonly hasKv: boolean;
  /** Kinds that are made; empty: all. */
  readonly kinds: readonly string[];
}

/** Folders, stores and a zone go away, one after another, while single processes fail as well. */
export class Outages {
  readonly #options: OutagesOptions;
  /** Outages are as much shorter as the run is. */
  readonly #scale: number;
  /** The member that was the last to lose its folder. */
  #lost: { readonly id: string; readonly owed: MadeFault } | undefined;

  constructor(options: OutagesOptions) {
    this.#options = options;
    this.#scale = Math.min(1, options.minutes / FULL_MINUTES);
  }

  async run(): Promise<void> {
    const { processes, kinds, minutes, outageMs } = this.#options;
    const lasts = (ms: number) => outageMs ?? ms * this.#scale;
    const ingesters = processes.filter(({ isIngester }) => isIngester);
    const isShort = minutes < FULL_MINUTES;
    const losses = ingesters
      .slice(0, isShort ? 1 : ingesters.length)
      .map((process) => ['folder', () => this.#loseFolder(process)] as const);
    const others = [
      ['kv', () => this.#kvAway(lasts(3 * MINUTE_MS))],
      ['zone', () => this.#zoneAway(lasts(2 * MINUTE_MS))],
      ['store', () => this.#storeAway(lasts(3 * MINUTE_MS))],
    ] as const;
    // in a short run the loss comes last: until all that is owed is in the store, another failure is no single one
    const all = isShort
      ? [...others, ...losses]
      : Array.from({ length: Math.max(losses.length, others.length) }, (_, i) => [
          ...losses.slice(i, i + 1),
          ...others.slice(i, i + 1),
        ]).flat();
    if (kinds.length === 0) await sleep(SINGLES_MS * this.#scale);
    for (const [kind, make] of all) {
      if (kinds.length > 0 && !kinds.includes(kind)) continue;
      await make();
    }
    // who is killed again and again may owe for longer than it is waited
    this.#options.faults.mayEnd();
    await this.#replaced();
  }

  /** Takes an ingester's folder away, once the ring has replaced the last that lost one and nothing that it held is owed. */
  async #loseFolder(process: MemberProcess): Promise<void> {
    const { faults, journal } = this.#options;
    await this.#replaced();
    await this.#untouched([process]);
    const memberOf = async () => (await this.#ring())?.members.find(({ id }) => id.startsWith(`${process.name}-`));
    const { id } = await until(`the ring has ${process.name}`, memberOf, { timeoutMs: UNTOUCHED_MS_MAX });
    await faults.touch(process, 'loses its folder', async () => {
      await process.kill();
      process.loseFolder();
      await process.start();
      await process.ready();
    });
    this.#lost = { id, owed: journal.began(`${id} is owed to the store`, false) };
  }

  /**
   * Waits until no member that lost its folder stands in the ring, and all others said that the store has what they held under the
   * versions that it was in.
   */
  async #replaced(): Promise<void> {
    const lost = this.#lost;
    if (lost === undefined) return;
    const { journal } = this.#options;
    /** The first version without it, or one a little later. */
    let without: number | undefined;
    const isReplaced = async () => {
      const members = await this.#membersWithout(lost.id);
      if (members === undefined) return false;
      without ??= members.version;
      return members.words.every((word) => word >= without! - 1);
    };
    await this.#withinReplacing(`${lost.id} is replaced, and nothing older is owed`, isReplaced);
    journal.ended(lost.owed);
  }

  /** Waits as long as replacing a member may take, and longer where the machine was starved meanwhile. */
  async #withinReplacing(what: string, isSo: () => Promise<boolean>): Promise<void> {
    const { journal, processes, starvation } = this.#options;
    const sinceMs = Date.now();
    const within = (timeoutMs: number) => until(what, isSo, { timeoutMs, intervalMs: 1_000 });
    await within(REPLACED_MS_MAX)
      .catch((thrown) => {
        const { isStarved, lateMs } = starvation.between(sinceMs, Date.now());
        if (!isStarved) throw thrown;
        journal.say(`${(thrown as Error).message}; timers were up to ${Math.round(lateMs)} ms late: it gets longer`);
        return within(STARVED_MS_MAX);
      })
      .catch(async (thrown) => {
        journal.wasWrong(`${(thrown as Error).message}: ${JSON.stringify(await processes[0]!.ring())}`);
      });
  }

  /** Words of all members of the newest version, where it counts and one is not among them; undefined: it is, or nobody answers. */
  async #membersWithout(
    id: string,
  ): Promise<{ readonly version: number; readonly words: readonly number[] } | undefined> {
    const ring = await this.#ring();
    if (ring === undefined || ring.confirmed !== ring.version) return undefined;
    const members = ring.members.filter(({ state }) => ['active', 'draining'].includes(state));
    if (members.some((each) => each.id === id)) return undefined;
    return { version: ring.version, words: members.map(({ word }) => word) };
  }

  /**
   * Waits until the ring has replaced the member that lost its folder last: until then another failure is a second one. A zone that goes
   * leaves one owner of three, and while the key-value store is away, be it for itself or with the store, nobody is replaced.
   */
  async #lostIsOut(): Promise<void> {
    const id = this.#lost?.id;
    if (id === undefined) return;
    await this.#withinReplacing(`${id} is replaced`, async () => (await this.#membersWithout(id)) !== undefined);
  }

  async #kvAway(forMs: number): Promise<void> {
    const { services, journal, hasKv } = this.#options;
    if (!hasKv) return this.#storeAway(forMs, true);
    await this.#lostIsOut();
    const fault = journal.began(`the key-value store is away for ${forMs / 1000} s, and returns empty`, false);
    await services.takeKv();
    await sleep(forMs);
    await services.returnKvEmpty();
    journal.ended(fault);
  }

  /** @param emptiesRing the ring lies in it, and is lost; samples are not */
  async #storeAway(forMs: number, emptiesRing = false): Promise<void> {
    const { services, checker, journal, hasKv } = this.#options;
    if (!hasKv) await this.#lostIsOut();
    const without = emptiesRing ? ', and returns without the ring' : '';
    const fault = journal.beganStoreOutage(`the store is away for ${forMs / 1000} s${without}`);
    checker.isStoreAway = true;
    services.takeStore();
    await sleep(forMs);
    if (emptiesRing) {
      const rows = await services.emptyRing();
      if (rows === 0) journal.wasWrong('the ring had no rows');
      journal.say(`  ${rows} rows of the ring are gone`);
    }
    services.returnStore();
    journal.ended(fault);
    // drivers wait before they try again
    await sleep(STORE_BACK_MS);
    checker.isStoreAway = false;
  }

  async #zoneAway(forMs: number): Promise<void> {
    const { faults, processes, journal } = this.#options;
    const zones = [...new Set(processes.map(({ plan }) => plan.zone))].filter((zone) => zone !== undefined);
    const zone = zones[Math.floor(faults.draw() * zones.length)]!;
    const inZone = processes.filter(({ plan }) => plan.zone === zone);
    await this.#lostIsOut();
    faults.isZoneAway = true;
    await this.#untouched(processes.filter(({ isIngester }) => isIngester));
    const fault = journal.began(`zone ${zone} is away for ${forMs / 1000} s`, false);
    await Promise.all(
      inZone.map((process) =>
        faults.touch(
          process,
          `away with ${zone}`,
          async () => {
            await process.kill();
            await sleep(forMs);
            await process.start();
            await process.ready();
          },
          false,
        ),
      ),
    );
    journal.ended(fault);
    faults.isZoneAway = false;
  }

  /** Waits until no fault of them is under way. */
  async #untouched(processes: readonly MemberProcess[]): Promise<void> {
    const { faults } = this.#options;
    await until('faults are over', () => processes.every((process) => !faults.isTouched(process)), {
      timeoutMs: UNTOUCHED_MS_MAX,
    });
  }

  async #ring() {
    for (const process of this.#options.processes) {
      if (this.#options.faults.isTouched(process)) continue;
      const ring = await process.ring();
      if (ring !== undefined && ring.version > 0) return ring;
    }
    return undefined;
  }
}

const STORE_BACK_MS = 15_000;
