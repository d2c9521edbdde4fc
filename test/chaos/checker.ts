import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom } from '../../src/lib/random.ts';
import { forEachAtOnce } from '../../src/lib/semaphore.ts';
import { ApiClient, type ApiData, type ApiSeries } from '../harness/api.ts';
import { until } from '../harness/wait.ts';
import type { Journal } from './journal.ts';
import { faultsOf, type Lane } from './ledger.ts';
import type { Balancer, MemberProcess } from './processes.ts';

const QUERY_MS_MAX = 15_000;
const PAUSE_MS = 150;
/** Windows of the sums over all lanes. */
const WIDE_S = 10;
const FAULTS_TOLD_MAX = 3;

type Check = (api: Asked) => Promise<readonly string[]>;
type Asked = (path: string, params: Readonly<Record<string, string | number>>) => Promise<ApiData>;

/** Asks all the time; answers must be complete for all that was acknowledged before the question, and hold nothing else. */
export class Checker {
  readonly #lanes: readonly Lane[];
  readonly #balancer: Balancer;
  readonly #journal: Journal;
  readonly #random: () => number;
  /** Whether queries may be answered that the store is away. */
  isStoreAway = false;
  #isStopping = false;
  #runs: Promise<unknown> | undefined;

  constructor(lanes: readonly Lane[], balancer: Balancer, journal: Journal, seed: number) {
    this.#lanes = lanes;
    this.#balancer = balancer;
    this.#journal = journal;
    this.#random = seededRandom(seed);
  }

  start(parallel = 2): void {
    this.#runs = Promise.all(Array.from({ length: parallel }, () => this.#run()));
  }

  async stop(): Promise<void> {
    this.#isStopping = true;
    await this.#runs;
  }

  async #run(): Promise<void> {
    const kinds: readonly (() => { readonly what: string; readonly check: Check } | undefined)[] = [
      () => this.#recent(),
      () => this.#past(),
      () => this.#sum(),
      () => this.#range(),
      () => this.#wide(),
    ];
    while (!this.#isStopping) {
      const asked = kinds[Math.floor(this.#random() * kinds.length)]!();
      const target = this.#balancer.pick();
      if (asked !== undefined) await this.#ask(target, asked);
      await sleep(PAUSE_MS);
    }
  }

  async #ask(target: MemberProcess, { what, check }: { what: string; check: Check }): Promise<void> {
    this.#journal.queries++;
    const startMs = Date.now();
    const wasStoreAway = this.isStoreAway;
    try {
      const faults = await check(asker(target.url!));
      for (const fault of faults.slice(0, FAULTS_TOLD_MAX))
        this.#journal.wasWrong(`${what} by ${target.name}: ${fault}`);
    } catch (thrown) {
      const { message, cause } = thrown as Error;
      const why = `${what} by ${target.name}: ${message}${cause instanceof Error ? ` (${cause.message})` : ''}`;
      if ((wasStoreAway || this.isStoreAway) && isStoreAway(message)) {
        this.#journal.storeFailures++;
        return;
      }
      if (thrown instanceof TypeError || (thrown as Error).name === 'TimeoutError') this.#balancer.failed(target);
      this.#journal.failed('query', startMs, why);
    }
  }

  #lane(): Lane {
    return this.#lanes[Math.floor(this.#random() * this.#lanes.length)]!;
  }

  /** Raw samples of a lane up to now. */
  #recent() {
    const lane = this.#lane();
    const toMs = Date.now();
    return rawCheck(lane, toMs - 30_000, toMs, 'recent samples');
  }

  /** Raw samples of a lane at any time since the beginning. */
  #past() {
    const lane = this.#lane();
    const newestMs = lane.timeOf(lane.acknowledged);
    const toMs = Math.floor(lane.startMs + this.#random() * (newestMs - lane.startMs));
    return rawCheck(lane, toMs - 30_000, toMs, 'past samples');
  }

  /** The sum over a lane at its newest step. */
  #sum() {
    const lane = this.#lane();
    const step = lane.acknowledged - 1;
    if (step < 0) return undefined;
    const check: Check = async (ask) => {
      const { result } = await ask('/api/v1/query', {
        query: `sum(chaos{lane="${lane.number}"})`,
        time: lane.timeOf(step) / 1000,
      });
      return differences(`step ${step}`, result[0]?.value?.[1], lane.sumOf(step));
    };
    return { what: `sum of lane ${lane.number}`, check };
  }

  /** The sum over a lane at each step of a minute. */
  #range() {
    const lane = this.#lane();
    const last = lane.acknowledged - 1;
    const first = Math.max(0, last - 60);
    if (last < 0) return undefined;
    const check: Check = async (ask) => {
      const { result } = await ask('/api/v1/query_range', {
        query: `sum(chaos{lane="${lane.number}"})`,
        start: lane.timeOf(first) / 1000,
        end: lane.timeOf(last) / 1000,
        step: lane.stepMs / 1000,
      });
      const values = result[0]?.values ?? [];
      return Array.from({ length: last - first + 1 }, (_, i) =>
        differences(`step ${first + i}`, values[i]?.[1], lane.sumOf(first + i)),
      ).flat();
    };
    return { what: `range of lane ${lane.number}`, check };
  }

  /** Counts of samples of all lanes at a time up to which all are acknowledged. */
  #wide() {
    const timeMs = Math.min(...this.#lanes.map((lane) => lane.timeOf(lane.acknowledged - 1)));
    if (timeMs < this.#lanes[0]!.startMs + WIDE_S * 1000) return undefined;
    const check: Check = async (ask) => {
      const query = `sum by (lane) (count_over_time(chaos[${WIDE_S}s]))`;
      const { result } = await ask('/api/v1/query', { query, time: timeMs / 1000 });
      const byLane = new Map(result.map(({ metric, value }) => [metric.lane, value?.[1]]));
      return this.#lanes.flatMap((lane) => {
        const steps = lane.stepAfter(timeMs) - lane.stepAfter(timeMs - WIDE_S * 1000);
        return differences(`lane ${lane.number} at ${timeMs}`, byLane.get(`${lane.number}`), steps * lane.series);
      });
    };
    return { what: 'counts of all lanes', check };
  }
}

/**
 * Whether an answer says that the store is away: none that a quorum or a ring lacks is excused by it. Every query needs the store, also
 * one whose samples are all in heads: requests to delete are read with each, and never from a cache.
 */
export function isStoreAway(answer: string): boolean {
  return /^503 .* failed after \d+ (try|tries): /s.test(answer);
}

function differences(what: string, got: string | undefined, want: number): string[] {
  return Number(got) === want ? [] : [`${what}: ${got}, not ${want}`];
}

function rawCheck(lane: Lane, fromMs: number, toMs: number, what: string) {
  const expected = lane.expect(fromMs, toMs);
  const check: Check = async (ask) => {
    const seconds = Math.round((toMs - fromMs) / 1000);
    const { result } = await ask('/api/v1/query', {
      query: `chaos{lane="${lane.number}"}[${seconds}s]`,
      time: toMs / 1000,
    });
    return faultsOf(expected, result as readonly ApiSeries[]);
  };
  return { what: `${what} of lane ${lane.number}`, check };
}

function asker(url: string): Asked {
  return async (path, params) => {
    const query = new URLSearchParams(
      Object.entries(params).map(([name, value]): [string, string] => [name, String(value)]),
    );
    const api = new ApiClient(url);
    const { status, text } = await api.ask(`${path}?${query}`, { signal: AbortSignal.timeout(QUERY_MS_MAX) });
    if (status !== 200) throw new Error(`${status} ${text.slice(0, 300)}`);
    return (JSON.parse(text) as { data: ApiData }).data;
  };
}

const PIECE_MS = 60_000;
const PIECES_AT_ONCE = 2;
/** Time in which a piece must be answered, once the faults are over. */
const PIECE_MS_MAX = 120_000;

/** Looks at all that was ever written, through one process. @returns samples that were looked at */
export async function checkAll(lanes: readonly Lane[], target: MemberProcess, journal: Journal): Promise<number> {
  const ask = asker(target.url!);
  const pieces = lanes.flatMap((lane) => {
    const [fromMs, endMs] = [lane.startMs - 1, lane.timeOf(lane.acknowledged)];
    const count = Math.ceil((endMs - fromMs) / PIECE_MS);
    return Array.from({ length: count }, (_, i) => ({ lane, fromMs: fromMs + i * PIECE_MS }));
  });
  await forEachAtOnce(pieces, PIECES_AT_ONCE, async ({ lane, fromMs }) => {
    const { what, check } = rawCheck(lane, fromMs, fromMs + PIECE_MS, 'all samples');
    const piece = `${what} by ${target.name} from ${fromMs}`;
    const faults = await until(piece, () => check(ask), { timeoutMs: PIECE_MS_MAX, intervalMs: 1_000 });
    for (const fault of faults.slice(0, FAULTS_TOLD_MAX)) journal.wasWrong(`${what} by ${target.name}: ${fault}`);
  });
  return lanes.reduce((sum, lane) => sum + lane.acknowledged * lane.series, 0);
}
