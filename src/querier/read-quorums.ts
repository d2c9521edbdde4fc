import type { ReplicaLoss } from '../contract/replica.ts';
import { getOrMake } from '../lib/map.ts';
import { AppError } from '../model/errors.ts';
import { queryErrors } from '../model/errors-query.ts';
import type { ReadAsk } from '../ring/asks.ts';
import type { GivenUp } from '../ring/version.ts';
import type { AskedMember } from '../storage/asked-members.ts';

/** Members that an error names one by one. */
const NAMED_MAX = 7;

interface Quorum {
  readonly ask: ReadAsk;
  /** Owners that are asked, have not answered, and are not slow. */
  expected: number;
  counted: number;
  /** Owners that answered and lost a part of the range for good, which the store has the rest of. */
  lost: number;
  failed: number;
}

/** Who is to be asked for a read, and whether enough have answered: judged for each quorum, each member asked once for all of its own. */
export class ReadQuorums {
  readonly #rank: (id: string) => number;
  readonly #quorums: readonly Quorum[];
  readonly #ofMember = new Map<string, Quorum[]>();
  readonly #states = new Map<string, 'asked' | 'slow' | 'counted' | 'lost' | 'failed'>();
  readonly #losses = new Map<string, readonly ReplicaLoss[]>();
  readonly #failures = new Map<string, unknown>();
  /** Quorums that may need further members. */
  #open: Set<Quorum>;
  #unmet: number;
  #short: Quorum | undefined;

  readonly #goneText: (gone: GivenUp) => string | undefined;
  readonly #allowPartial: boolean;

  /**
   * @param rank of a member: those with less are asked first
   * @param goneText says what is missing of one that was given up; undefined: nothing of what is read
   * @param allowPartial all owners that are left do where no quorum is to be had
   */
  constructor(
    asks: readonly ReadAsk[],
    rank: (id: string) => number,
    goneText: (gone: GivenUp) => string | undefined = () => undefined,
    allowPartial = false,
  ) {
    this.#allowPartial = allowPartial;
    this.#rank = rank;
    this.#goneText = goneText;
    this.#quorums = asks.map((ask) => ({ ask, expected: 0, counted: 0, lost: ask.gone.length, failed: 0 }));
    for (const quorum of this.#quorums) {
      for (const id of quorum.ask.owners) getOrMake(this.#ofMember, id, () => [] as Quorum[]).push(quorum);
    }
    this.#open = new Set(this.#quorums);
    this.#unmet = this.#quorums.length;
  }

  /** The members that are to be asked now; from here on they count as asked. */
  next(): string[] {
    const chosen = new Set<string>();
    for (const { ask, counted, expected } of this.#open) {
      let missing = ask.quorum - counted - expected;
      for (const id of ask.owners) if (chosen.has(id)) missing--;
      if (missing <= 0) continue;
      const free = ask.owners.filter((id) => !this.#states.has(id) && !chosen.has(id));
      free.sort((a, b) => this.#rank(a) - this.#rank(b));
      for (const id of free.slice(0, missing)) chosen.add(id);
    }
    this.#open = new Set();
    for (const id of chosen) {
      this.#states.set(id, 'asked');
      for (const quorum of this.#ofMember.get(id)!) quorum.expected++;
    }
    return [...chosen];
  }

  /** A member keeps others waiting: it may still answer, but somebody else is asked beside it. */
  slow(id: string): void {
    if (this.#states.get(id) === 'asked') this.#leave(id, 'slow', () => {});
  }

  /** A member has answered whole. */
  answered(id: string, losses: readonly ReplicaLoss[]): void {
    const unsettled = losses.find(({ settled }) => !settled);
    if (unsettled !== undefined) {
      this.failed(id, new Error(`${unsettled.text}, and what is left is not in the store yet`));
    } else if (losses.length > 0) {
      this.#losses.set(id, losses);
      this.#leave(id, 'lost', (quorum) => quorum.lost++);
    } else this.#leave(id, 'counted', (quorum) => quorum.counted++);
  }

  failed(id: string, error: unknown): void {
    this.#failures.set(id, error);
    this.#leave(id, 'failed', (quorum) => quorum.failed++);
  }

  #leave(id: string, state: 'slow' | 'counted' | 'lost' | 'failed', count: (quorum: Quorum) => void): void {
    const wasAsked = this.#states.get(id) === 'asked';
    this.#states.set(id, state);
    for (const quorum of this.#ofMember.get(id)!) {
      const wasMet = this.#isSettled(quorum);
      if (wasAsked) quorum.expected--;
      count(quorum);
      if (wasMet) continue;
      const isShortNow = isShort(quorum);
      if (isShortNow) this.#short ??= quorum;
      if (this.#isSettled(quorum)) this.#unmet--;
      else if (this.#allowPartial || !isShortNow) this.#open.add(quorum);
    }
  }

  /** Nobody is left whose answer matters. */
  #isSettled(quorum: Quorum): boolean {
    if (isMet(quorum)) return true;
    if (!this.#allowPartial || !isShort(quorum)) return false;
    return quorum.counted + quorum.lost + quorum.failed >= quorum.ask.owners.length + quorum.ask.gone.length;
  }

  get isMet(): boolean {
    return this.#unmet === 0;
  }

  /** Members that answered for a quorum, on average. */
  get copies(): number {
    const answers = this.#quorums.reduce((sum, { counted, lost }) => sum + counted + lost, 0);
    return Math.max(1, answers / Math.max(1, this.#quorums.length));
  }

  /** The members that were asked. */
  members(): AskedMember[] {
    return [...this.#states].map(([id, state]) => ({ id, answered: state === 'counted' || state === 'lost' }));
  }

  /** The error of a read that can no longer have a quorum. */
  shortage(): AppError | undefined {
    const short = this.#short;
    if (short === undefined) return undefined;
    for (const id of short.ask.owners) {
      // what the request is to blame for is said as it is
      const error = this.#failures.get(id);
      if (error instanceof AppError && error.facts.http < 500) return error;
    }
    return this.#allowPartial ? undefined : this.#shortageOf(short);
  }

  /** Owners that failed, with why, of the first quorum that cannot be had. */
  failures(): (readonly [id: string, error: unknown])[] {
    const owners = this.#short?.ask.owners ?? [];
    return owners.flatMap((id) => (this.#failures.has(id) ? [[id, this.#failures.get(id)] as const] : []));
  }

  /** Whatever an answer lacks that may be incomplete. */
  missing(): string[] {
    return this.#allowPartial && this.#short !== undefined ? [this.#shortageOf(this.#short).message] : [];
  }

  #shortageOf(short: Quorum): AppError {
    const { owners, quorum, arc, version } = short.ask;
    const members = owners.slice(0, NAMED_MAX).map((id) => `${id}: ${this.#stateText(id)}`);
    const others = this.#quorums.filter((each) => each !== short && isShort(each)).length;
    return queryErrors.noReadQuorum({
      answered: short.counted,
      needed: quorum,
      owners: owners.length,
      arc,
      version,
      members: members.join('; '),
      others,
    });
  }

  #stateText(id: string): string {
    const failure = this.#failures.get(id);
    if (failure !== undefined) return failure instanceof Error ? failure.message : String(failure);
    const lost = this.#losses.get(id);
    if (lost !== undefined) return lost[0]!.text;
    return this.#states.get(id) === 'counted' ? 'answered' : 'not heard yet';
  }

  /** Losses that no quorum makes good. */
  warnings(): string[] {
    const warnings = new Set<string>();
    for (const quorum of this.#quorums) {
      if (quorum.counted >= quorum.ask.quorum) continue;
      for (const id of quorum.ask.owners) {
        for (const { text } of this.#losses.get(id) ?? []) warnings.add(`${id}: ${text}`);
      }
      for (const gone of quorum.ask.gone) {
        const text = this.#goneText(gone);
        if (text !== undefined) warnings.add(text);
      }
    }
    return [...warnings];
  }
}

/**
 * A quorum is there, or all owners have answered, of whom some lost a part for good: nobody is left to ask. Where one is away, it may be
 * the last that holds what others lost.
 */
function isMet({ ask, counted, lost }: Quorum): boolean {
  return counted >= ask.quorum || counted + lost === ask.owners.length + ask.gone.length;
}

function isShort({ ask, counted, lost, failed }: Quorum): boolean {
  return counted < ask.quorum && failed > 0 && ask.owners.length + ask.gone.length - failed - lost < ask.quorum;
}
