import { connect, createServer, type Server } from 'node:net';
import { ApiClient, type ApiSeries } from '../harness/api.ts';
import { Exporter } from '../harness/exporter.ts';
import { type Peer, startNewestPrometheus } from '../harness/peers.ts';
import { until } from '../harness/wait.ts';
import type { Journal } from './journal.ts';
import type { Balancer, MemberProcess } from './processes.ts';

const SCRAPE_S = 2;
const SENT_MS_MAX = 120_000;

/** A real Prometheus that scrapes and writes into the cluster, through a balancer of connections. */
export class RealPrometheus implements AsyncDisposable {
  readonly #server: Server;
  readonly #exporter: Exporter;
  readonly #peer: Peer;
  readonly #startMs = Date.now();

  private constructor(server: Server, exporter: Exporter, peer: Peer) {
    this.#server = server;
    this.#exporter = exporter;
    this.#peer = peer;
  }

  static async start(balancer: Balancer): Promise<RealPrometheus> {
    const server = createServer((client) => {
      const target = connect({ port: Number(new URL(balancer.pick().url!).port), host: '127.0.0.1' });
      for (const [from, to] of [
        [client, target],
        [target, client],
      ] as const) {
        from.on('error', () => {}).on('close', () => to.destroy());
        from.pipe(to);
      }
    });
    await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
    const { port } = server.address() as { port: number };
    const exporter = await Exporter.start(Number.POSITIVE_INFINITY);
    const config = `
global: { scrape_interval: ${SCRAPE_S}s }
scrape_configs:
  - job_name: exporter
    static_configs: [{ targets: ["127.0.0.1:${exporter.port}"] }]
remote_write:
  - url: http://127.0.0.1:${port}/api/v1/push
    remote_timeout: 5s
    queue_config: { max_shards: 2, batch_send_deadline: 1s, max_backoff: 1s }
`;
    return new RealPrometheus(server, exporter, await startNewestPrometheus({ config }));
  }

  /** Waits until all that it scraped has been sent, and compares what the cluster has of it. @returns samples that were compared */
  async check(target: MemberProcess, journal: Journal): Promise<number> {
    const own = new ApiClient(this.#peer.url);
    const toS = Math.floor(Date.now() / 1000);
    const seconds = toS - Math.floor(this.#startMs / 1000);
    const samples = async (api: ApiClient) => {
      const { result } = await api.instant(`{job="exporter"}[${seconds}s]`, toS);
      return new Map(result.map((series) => [textOf(series), series.values ?? []]));
    };
    const want = await samples(own);
    let got: Awaited<ReturnType<typeof samples>> = new Map();
    const missing = () =>
      [...want].filter(([name, values]) => JSON.stringify(got.get(name)) !== JSON.stringify(values));
    await until(
      'the cluster has what Prometheus has',
      async () => {
        got = await samples(new ApiClient(target.url!));
        return missing().length === 0 && got.size === want.size;
      },
      { timeoutMs: SENT_MS_MAX, intervalMs: 1_000 },
    ).catch(() => {
      for (const [name, values] of missing().slice(0, 3)) {
        journal.wasWrong(`Prometheus has ${values.length} samples of ${name}, the cluster ${got.get(name)?.length}`);
      }
      for (const name of got.keys()) if (!want.has(name)) journal.wasWrong(`Prometheus has no ${name}`);
    });
    const count = [...want.values()].reduce((sum, values) => sum + values.length, 0);
    journal.scraped = await this.#failedSamples();
    journal.say(`the cluster was compared with Prometheus: ${want.size} series, ${count} samples`);
    return count;
  }

  /** Samples that it had to send again, and those that it gave up, by its own metrics. */
  async #failedSamples(): Promise<string> {
    const { text } = await new ApiClient(this.#peer.url).ask('/metrics');
    const sum = (name: string) => {
      const found = text.matchAll(new RegExp(`^prometheus_remote_storage_samples_${name}_total\\{.*\\} (\\S+)`, 'gm'));
      return [...found].reduce((total, [, value]) => total + Number(value), 0);
    };
    return `${sum('retried')} sent again, ${sum('failed')} refused for good, ${sum('dropped')} dropped`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.#peer[Symbol.asyncDispose]();
    await this.#exporter[Symbol.asyncDispose]();
    this.#server.close();
  }
}

function textOf({ metric }: ApiSeries): string {
  return JSON.stringify(Object.entries(metric).sort(([a], [b]) => (a < b ? -1 : 1)));
}
