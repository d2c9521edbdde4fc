import type { PushedSample, PushResponse } from '../../src/contract/push.ts';
import type { QueryResult } from '../../src/contract/query.ts';
import { getOrMake } from '../../src/lib/map.ts';
import type { Random } from '../../src/lib/random.ts';
import type { ApiAnswer } from './cluster.ts';
import { histogramOf } from './histogram-value.ts';
import { type Answer, answerOf, type Oracle, type Selection, seriesKey, startsOf, toldMissing } from './oracle.ts';
import type { SentSeries } from './sent-series.ts';
import { START_MS, type World } from './world.ts';

const MINUTE = 60_000;
const HOUR = 60 * MINUTE;

/** The doors of a cluster, by the name of a front. Each may fail, or never answer. */
export interface Doors {
  /** Names of those that are up. */
  fronts(): readonly string[];
  push(front: string, tenant: string, series: readonly SentSeries[]): Promise<PushResponse>;
  query(front: string, tenant: string, expr: string, timeMs: number): Promise<QueryResult>;
  /** As the HTTP API has it. */
  get(front: string, tenant: string, path: string, params: readonly [string, string][]): Promise<ApiAnswer>;
  /** Asks for a metric's samples to be deleted. @returns the end of the range that is: a front whose clock is behind takes it for the future */
  deleteSeries(front: string, tenant: string, metric: string, startMs: number, endMs: number): Promise<number>;
}

export interface LoadOptions {
  readonly tenants: number;
  /** Series of each tenant and metric. */
  readonly series: number;
  /** Whether metrics are deleted, and sent again. */
  readonly deletes: boolean;
  /** Whether samples of the last metric are histograms. */
  readonly histograms: boolean;
  /** Whether samples have start timestamps. */
  readonly starts: boolean;
  /** Whether targets come and go, so that there are stale markers. */
  readonly stale: boolean;
}

/** A scrape of a tenant's series, on its way until it is acknowledged or refused. */
interface Batch {
  readonly tenant: string;
  readonly series: readonly SentSeries[];
  dueMs: number;
  tries: number;
}

/** Batches of a sender that wait for their turn. */
class SendQueue {
  readonly batches: Batch[] = [];
  /** Looks whether something is due; its sender waits for that. */
  wake: (() => void) | undefined;

  push(batch: Batch): void {
    this.batches.push(batch);
    if (this.batches.length > BACKLOG_MAX) this.batches.shift();
    this.wake?.();
  }

  remove(batch: Batch): void {
    const at = this.batches.indexOf(batch);
    if (at >= 0) this.batches.splice(at, 1);
  }
}

const SCRAPE_MS = MINUTE;
/** How long a sender waits for an answer before it sends again, through another front. */
const PATIENCE_MS = 30_000;
/** The longest, of a sender that was often not answered: days without anybody there pass with few events. */
const PATIENCE_MS_MAX = 10 * MINUTE;
const RETRY_MS = 5_000;
/** The longest, of a sender that was often sent away. */
const RETRY_MS_MAX = 20_000;
/** Batches that a sender keeps; beyond, it drops the oldest. */
const BACKLOG_MAX = 40;
/** Batches of a tenant that its importer has. */
const IMPORTED_MAX = 150;
/** Late samples that are still to come when senders stop come within so long. */
const LAST_MS_MAX = 30 * MINUTE;
/** How often questions are asked when faults are over, against before. */
const CALM_READS = 3;
/** Scrapes after which a target starts anew, so that its counters have another start timestamp. */
const LIFE_SCRAPES = 40;
/** As a query looks back for the newest sample. */
const LOOKBACK_MS = 5 * MINUTE;
const METRICS = ['alpha', 'beta_total', 'gamma'] as const;
const GONE_METRICS = ['aa', 'beta_gone'] as const;

/** Counts of a run, for its summary. */
export interface LoadCounts {
  pushes: number;
  acked: number;
  refused: number;
  unavailable: number;
  unanswered: number;
  queries: number;
  answered: number;
  warned: number;
  failed: number;
  deletes: number;
  imports: number;
}

/** A question on its way. */
export interface Asked {
  /** Whether there is an answer, and whether it is whole; undefined: not yet. */
  done?: 'whole' | 'warned' | 'failed';
  /** The error, where it failed. */
  text?: string;
  answer?: Answer;
}

/** Senders and readers of a cluster. What they see is held against the oracle; what must not be seen ends the run. */
export class Load {
  readonly counts: LoadCounts = {
    pushes: 0,
    acked: 0,
    refused: 0,
    unavailable: 0,
    unanswered: 0,
    queries: 0,
    answered: 0,
    warned: 0,
    failed: 0,
    deletes: 0,
    imports: 0,
  };
  readonly #world: World;
  readonly #oracle: Oracle;
  readonly #doors: Doors;
  readonly #options: LoadOptions;
  readonly #random: Random;
  /** Whether something else is asked for beside a metric. */
  readonly #others: Random;
  readonly #queues: SendQueue[] = [];
  /** Queues of what comes late, and what was sent, by tenant: what an import has again. */
  readonly #late = new Map<string, SendQueue>();
  readonly #history = new Map<string, Batch[]>();
  #isSending = false;
  /** Nothing is sent or asked for now: days pass. */
  isResting = false;
  #isReading = false;

  constructor(world: World, oracle: Oracle, doors: Doors, options: LoadOptions) {
    this.#world = world;
    this.#oracle = oracle;
    this.#doors = doors;
    this.#options = options;
    this.#random = world.random('load');
    this.#others = world.random('other questions');
  }

  get tenants(): readonly string[] {
    return Array.from({ length: this.#options.tenants }, (_, i) => `tenant-${i}`);
  }

  get metrics(): readonly string[] {
    return METRICS;
  }

  /** Batches that no front has taken or refused yet. */
  get backlog(): number {
    return this.#queues.reduce((sum, { batches }) => sum + batches.length, 0);
  }

  start(): void {
    this.#isSending = true;
    this.#isReading = true;
    for (const [i, tenant] of this.tenants.entries()) {
      this.#sender(tenant, 0, i);
      // a second one scrapes the same targets and reads other values
      if (i === 0) this.#sender(tenant, 0.5, i);
    }
    this.#reader();
    if (this.#options.deletes) this.#deleter();
  }

  /** No new batches; those that wait are still sent, late ones within half an hour. */
  stopSending(): void {
    this.#isSending = false;
    const { atMs } = this.#world;
    const waiting = this.#queues.flatMap(({ batches }) => batches);
    const longestMs = Math.max(LAST_MS_MAX, ...waiting.map(({ dueMs }) => dueMs - atMs));
    for (const batch of waiting) {
      if (batch.dueMs > atMs) batch.dueMs = atMs + ((batch.dueMs - atMs) * LAST_MS_MAX) / longestMs;
    }
    for (const queue of this.#queues) queue.wake?.();
  }

  stopReading(): void {
    this.#isReading = false;
  }

  #sender(tenant: string, valueShift: number, number: number): void {
    const world = this.#world;
    const random = world.random(`sender ${tenant} ${valueShift}`);
    const queue = new SendQueue();
    const lateQueue = new SendQueue();
    this.#queues.push(queue, lateQueue);
    this.#late.set(tenant, lateQueue);
    const history = getOrMake(this.#history, tenant, () => []);
    let scrapes = 0;
    const scrape = () => {
      if (!this.#isSending) return;
      world.after(SCRAPE_MS, scrape);
      if (this.isResting) return;
      const timeMs = Math.floor(world.nowMs);
      // whose pods are replaced every half an hour
      const generation = number % 2 === 1 ? Math.floor(world.atMs / (HOUR / 2)) : 0;
      const life = Math.floor((scrapes + 2 * LIFE_SCRAPES * valueShift) / LIFE_SCRAPES);
      const startMs = this.#options.starts ? { startMs: START_MS + life * LIFE_SCRAPES * SCRAPE_MS - HOUR } : {};
      const series = METRICS.flatMap((metric) =>
        Array.from({ length: this.#options.series }, (_, i): SentSeries => {
          const pairs = ['__name__', metric, 'instance', `i${i}`, 'pod', `p${generation}`];
          const value = scrapes * (i + 1) + valueShift;
          const isHistogram = this.#options.histograms && metric === METRICS.at(-1);
          return {
            pairs,
            ...startMs,
            samples: [isHistogram ? { timeMs, histogram: histogramOf(value) } : { timeMs, value }],
          };
        }),
      );
      if (this.#options.stale) series.unshift(...goneSeries(timeMs, scrapes));
      scrapes++;
      const chance = random();
      // of some targets samples come late, minutes or hours
      const lateMs = chance < 0.05 ? random() ** 2 * 3 * HOUR : 0;
      const to = lateMs > 0 ? lateQueue : queue;
      const batch: Batch = { tenant, series, dueMs: world.atMs + lateMs, tries: 0 };
      to.push(batch);
      history.push(batch);
      if (history.length > IMPORTED_MAX) history.shift();
    };
    world.after(random() * SCRAPE_MS, scrape);
    this.#drain(queue, random);
    this.#drain(lateQueue, random);
  }

  /** Sends what is due, one batch after another. */
  #drain(queue: SendQueue, random: Random): void {
    const world = this.#world;
    const again = (ms: number) => world.after(ms, () => this.#drain(queue, random));
    const batch = queue.batches.find(({ dueMs }) => dueMs <= world.atMs);
    if (batch === undefined) {
      this.#wait(queue, random);
      return;
    }
    const fronts = this.#doors.fronts();
    const front = fronts[Math.floor(random() * fronts.length)];
    if (front === undefined) return void again(RETRY_MS);
    batch.tries++;
    this.counts.pushes++;
    const samples = batch.series.flatMap(({ pairs, startMs, samples: all }) =>
      all.map((sample) =>
        this.#oracle.sent(batch.tenant, pairs[1]!, seriesKey(pairs), sample.timeMs, sentValue(sample), startMs),
      ),
    );
    let isOver = false;
    const over = (ms: number, isDone: boolean) => {
      isOver = true;
      if (isDone) queue.remove(batch);
      again(ms);
    };
    world.after(Math.min(PATIENCE_MS_MAX, PATIENCE_MS * batch.tries), () => {
      if (isOver) return;
      this.counts.unanswered++;
      world.trace(`${front} did not answer a push of ${batch.tenant}`);
      over(0, false);
    });
    this.#doors.push(front, batch.tenant, batch.series).then(({ status, text }) => {
      if (isOver) return;
      world.trace(`${front} push ${batch.tenant} ${status} ${text}`);
      if (status < 300) {
        this.counts.acked++;
        for (const sample of samples) this.#oracle.acknowledged(sample, world.atMs);
        // one in some is sent again all the same: its answer might have been lost
        return over(random() * 1_000, random() > 0.05);
      }
      if (status < 500 && status !== 429) {
        this.counts.refused++;
        return over(0, true);
      }
      this.counts.unavailable++;
      over(Math.min(RETRY_MS_MAX, RETRY_MS * batch.tries) * (0.5 + random()), false);
    });
  }

  /** Goes on some seconds after something is due: no event looks for what is not there, days through. */
  #wait(queue: SendQueue, random: Random): void {
    const world = this.#world;
    const nextMs = Math.min(...queue.batches.map(({ dueMs }) => dueMs));
    const drain = () => {
      queue.wake = undefined;
      this.#drain(queue, random);
    };
    const waiting = Number.isFinite(nextMs) ? world.after(nextMs - world.atMs, drain) : undefined;
    queue.wake = () => {
      if (waiting !== undefined) waiting.isCancelled = true;
      queue.wake = undefined;
      world.after(random() * RETRY_MS, () => this.#drain(queue, random));
    };
  }

  #reader(): void {
    const world = this.#world;
    const random = this.#random;
    if (!this.#isReading) return;
    const pauseMs = 20_000 + random() * 60_000;
    world.after(this.#isSending ? pauseMs : CALM_READS * pauseMs, () => this.#reader());
    if (this.isResting) return;
    const fronts = this.#doors.fronts();
    const front = fronts[Math.floor(random() * fronts.length)];
    if (front === undefined) return;
    const { tenants } = this;
    const tenant = tenants[Math.floor(random() * tenants.length)]!;
    const metric = METRICS[Math.floor(random() * METRICS.length)]!;
    // most ask for the newest, some for all, some for what is in the store only
    const chance = random();
    const toMs = Math.floor(world.nowMs - (chance < 0.6 ? 0 : random() * Math.min(world.atMs, 4 * HOUR)));
    const minutes = 1 + Math.floor(random() ** 2 * (chance < 0.2 ? 600 : 90));
    void this.ask(front, { tenant, metric, afterMs: toMs - minutes * MINUTE, toMs });
    if (this.#options.starts && chance < 0.1) this.#askStarts(front, tenant, metric, toMs);
    const other = this.#others();
    const range = { tenant, afterMs: toMs - minutes * MINUTE, toMs };
    if (other < 0.05) this.#askAll(front, range);
    else if (other < 0.1) this.#askSeries(front, range, other < 0.07);
  }

  /** Asks for all metrics at once: who answers cannot go by their names. */
  #askAll(front: string, { tenant, afterMs, toMs }: Omit<Selection, 'metric'>): void {
    const world = this.#world;
    const begunMs = world.atMs;
    const expr = `{instance=~"i.*", __name__!~"${GONE_METRICS.join('|')}"}[${Math.round((toMs - afterMs) / 1000)}s]`;
    this.#doors.query(front, tenant, expr, toMs).then(
      (result) => {
        try {
          const answer = [...answerOf(result)];
          world.trace(`${front} all of ${tenant} at ${toMs}: ${answer.length} series ${result.warnings.join('; ')}`);
          for (const metric of METRICS) {
            const own = new Map(answer.filter(([series]) => series.split(' ')[1] === metric));
            this.#oracle.check({ tenant, metric, afterMs, toMs }, own, begunMs, toldMissing(result.warnings));
          }
        } catch (error) {
          world.fail(error as Error);
        }
      },
      (error: Error) => world.trace(`${front} all of ${tenant} at ${toMs} failed: ${error.message}`),
    );
  }

  /** Asks for the series of a range, or only for what pods they have. */
  #askSeries(front: string, range: Omit<Selection, 'metric'>, isPods: boolean): void {
    const world = this.#world;
    const begunMs = world.atMs;
    const { tenant, afterMs, toMs } = range;
    const path = isPods ? '/api/v1/label/pod/values' : '/api/v1/series';
    const partOf = isPods ? (series: string) => series.split(' ')[5]! : (series: string) => series;
    const params: [string, string][] = [
      ['start', String((afterMs + 1) / 1000)],
      ['end', String(toMs / 1000)],
    ];
    if (!isPods) params.push(['match[]', '{pod=~"p.*"}']);
    this.#doors.get(front, tenant, path, params).then(
      ({ data, warnings = [] }) => {
        try {
          const found = (data as (string | Record<string, string>)[]).map((each) =>
            typeof each === 'string' ? each : seriesKey(Object.entries(each).sort().flat()),
          );
          world.trace(`${front} ${path} of ${tenant} at ${toMs}: ${found.length} ${warnings.join('; ')}`);
          this.#oracle.checkSeries(range, METRICS, new Set(found), partOf, begunMs, warnings.length === 0);
        } catch (error) {
          world.fail(error as Error);
        }
      },
      (error: Error) => world.trace(`${front} ${path} of ${tenant} failed: ${error.message}`),
    );
  }

  /** Asks for the start timestamps of the newest samples. */
  #askStarts(front: string, tenant: string, metric: string, toMs: number): void {
    const world = this.#world;
    this.#doors.query(front, tenant, `start_timestamp(${metric})`, toMs).then(
      (result) => {
        try {
          const starts = startsOf(result, metric);
          world.trace(`${front} starts of ${metric} of ${tenant} at ${toMs}: ${[...starts.values()].join()}`);
          this.#oracle.checkStarts({ tenant, metric, afterMs: toMs - LOOKBACK_MS, toMs }, starts);
        } catch (error) {
          world.fail(error as Error);
        }
      },
      (error: Error) => world.trace(`${front} starts of ${metric} of ${tenant} failed: ${error.message}`),
    );
  }

  /** Asks once and checks the answer. */
  ask(front: string, selection: Selection): Asked {
    const world = this.#world;
    const { tenant, metric, afterMs, toMs } = selection;
    const begunMs = world.atMs;
    const seen: Asked = {};
    this.counts.queries++;
    const expr = `${metric}[${Math.round((toMs - afterMs) / 1000)}s]`;
    const told = () => `${front} query ${tenant} ${expr} at ${toMs}`;
    this.#doors.query(front, tenant, expr, toMs).then(
      (result) => {
        const { warnings } = result;
        seen.done = warnings.length === 0 ? 'whole' : 'warned';
        this.counts.answered++;
        if (warnings.length > 0) this.counts.warned++;
        try {
          const answer = answerOf(result);
          seen.answer = answer;
          let samples = 0;
          for (const each of answer.values()) samples += each.size;
          world.trace(`${told()}: ${answer.size} series, ${samples} samples ${warnings.join('; ')}`);
          this.#oracle.check(selection, answer, begunMs, toldMissing(warnings));
        } catch (error) {
          world.trace(`${told()}: ${(error as Error).message}`);
          world.fail(error as Error);
        }
      },
      (error: Error) => {
        seen.done = 'failed';
        seen.text = error.message;
        this.counts.failed++;
        world.trace(`${told()} failed: ${error.message}`);
      },
    );
    return seen;
  }

  #deleter(): void {
    const world = this.#world;
    const random = world.random('deleter');
    const next = () => {
      if (!this.#isSending) return;
      world.after(HOUR * (0.3 + random()), next);
      if (this.isResting) return;
      const fronts = this.#doors.fronts();
      const front = fronts[Math.floor(random() * fronts.length)];
      if (front === undefined) return;
      const tenant = this.tenants[Math.floor(random() * this.tenants.length)]!;
      const metric = METRICS[Math.floor(random() * METRICS.length)]!;
      const endMs = Math.floor(world.nowMs - random() * HOUR);
      const startMs = Math.floor(endMs - random() * HOUR);
      const deletion = this.#oracle.deleting(tenant, metric, startMs, endMs, world.atMs);
      this.#doors.deleteSeries(front, tenant, metric, startMs, endMs).then(
        (coveredMs) => {
          this.counts.deletes++;
          deletion.coveredMs = coveredMs;
          deletion.ackedMs = world.atMs;
          world.trace(`${front} deleted ${metric} of ${tenant} from ${startMs} to ${coveredMs}`);
          if (random() < 0.5) world.after(random() * HOUR, () => this.#import(tenant, metric, startMs, endMs));
        },
        (error: Error) => world.trace(`${front} delete of ${tenant} failed: ${error.message}`),
      );
    };
    world.after(HOUR * 0.5, next);
  }

  /** Sends once more what was deleted, and what lies beside it. */
  #import(tenant: string, metric: string, fromMs: number, toMs: number): void {
    if (!this.#isSending) return;
    const { atMs } = this.#world;
    const late = this.#late.get(tenant)!;
    for (const { series } of this.#history.get(tenant)!) {
      const { timeMs } = series[0]!.samples[0]!;
      if (timeMs < fromMs || timeMs > toMs || late.batches.length >= BACKLOG_MAX) continue;
      this.counts.imports++;
      const own = series.filter(({ pairs }) => pairs[1] === metric);
      late.push({ tenant, series: own, dueMs: atMs, tries: 0 });
    }
  }
}

/** Series of targets that are gone at every other scrape. Nobody asks for them: they lie in the same windows and groups as all others. */
function goneSeries(timeMs: number, scrape: number): SentSeries[] {
  return GONE_METRICS.map((metric): SentSeries => {
    const pairs = ['__name__', metric, 'instance', 'i0'];
    return { pairs, samples: [scrape % 2 === 1 ? { timeMs, stale: true } : { timeMs, value: scrape }] };
  });
}

function sentValue(sample: PushedSample): number {
  if ('value' in sample) return sample.value;
  return 'histogram' in sample ? sample.histogram.sum : Number.NaN;
}
