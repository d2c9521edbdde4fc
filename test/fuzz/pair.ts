import { seededRandom } from '../../src/lib/random.ts';
import { ApiClient } from '../harness/api.ts';
import { Pallium } from '../harness/pallium.ts';
import { isPrometheus3Installed, type Peer, startNewestPrometheus } from '../harness/peers.ts';
import { FLOAT_METRICS, HISTOGRAM_METRICS, load } from './data.ts';
import { pathOf, type Question, START_MS } from './question.ts';
import { BY_CHANCE, judge, type Reply, type Verdict } from './verdict.ts';

/** How often a question is put to Prometheus once more when the answers differ. */
const ASKED_AGAIN = 20;

/** Experimental features, under the names of both. */
const FEATURES = 'promql-experimental-functions,promql-extended-range-selectors,promql-binop-fill-modifiers';
const START_TIMESTAMPS = 'st-storage,use-start-timestamps';
const SERVER_FLAGS = [
  '-querier.enable-promql-experimental-functions',
  '-querier.enable-promql-extended-range-selectors',
  '-querier.enable-promql-binop-fill-modifiers',
  '-querier.enable-promql-start-timestamps',
  // whoever pauses the servers for a while must not make queries fail
  '-querier.timeout=30m',
];

export const METRICS = isPrometheus3Installed ? [...FLOAT_METRICS, ...HISTOGRAM_METRICS] : FLOAT_METRICS;

interface PairOptions {
  /** Age up to which a sample is the newest: `5m`. */
  readonly lookback?: string;
  /** Whether Prometheus keeps them, in chunks of other encodings. */
  readonly startTimestamps?: boolean;
}

/** Pallium and a real Prometheus that hold the same random data. */
export class Pair implements AsyncDisposable {
  readonly server: Pallium;
  readonly #peer: Peer;
  readonly theirs: ApiClient;
  readonly ours: ApiClient;

  private constructor(server: Pallium, peer: Peer) {
    this.server = server;
    this.#peer = peer;
    this.theirs = new ApiClient(peer.url);
    this.ours = server.api();
  }

  static async start(seed: number, { lookback = '5m', startTimestamps = true }: PairOptions = {}): Promise<Pair> {
    const features = startTimestamps ? `${FEATURES},${START_TIMESTAMPS}` : FEATURES;
    const enabled = isPrometheus3Installed ? [`--enable-feature=${features}`] : [];
    const [server, peer] = await Promise.all([
      Pallium.start({ flags: [...SERVER_FLAGS, `-querier.lookback-delta=${lookback}`] }),
      startNewestPrometheus({ flags: ['--query.timeout=30m', `--query.lookback-delta=${lookback}`, ...enabled] }),
    ]);
    const pair = new Pair(server, peer);
    try {
      await load(METRICS, START_MS, seededRandom(seed), [`${server.url}/api/v1/push`, `${peer.url}/api/v1/write`]);
    } catch (thrown) {
      await pair[Symbol.asyncDispose]();
      throw thrown;
    }
    return pair;
  }

  async ask(question: Question): Promise<Verdict & { readonly want: Reply }> {
    const path = pathOf(question);
    const [want, got] = await Promise.all([this.theirs.ask(path), this.ours.ask(path)]);
    const verdict = judge(question, want, got);
    if (verdict.why === undefined || verdict.excuse !== undefined) return { ...verdict, want };
    // Prometheus adds up what operators give in an order of chance: then one of its answers is ours
    for (let i = 0; i < ASKED_AGAIN; i++) {
      const again = judge(question, await this.theirs.ask(path), got);
      if (again.why === undefined) return { why: verdict.why, excuse: BY_CHANCE, want };
    }
    return { ...verdict, want };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([this.server[Symbol.asyncDispose](), this.#peer[Symbol.asyncDispose]()]);
  }
}
