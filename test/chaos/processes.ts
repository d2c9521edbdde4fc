import { rmSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pallium, tempFolder } from '../harness/pallium.ts';
import { freePort } from '../harness/ports.ts';
import { until } from '../harness/wait.ts';
import type { Journal } from './journal.ts';
import type { Network } from './network.ts';

export interface ProcessPlan {
  readonly name: string;
  readonly target: string;
  readonly zone?: string;
  readonly flags?: readonly string[];
}

const READY_MS_MAX = 180_000;

/** A process of the cluster, which is started, ended and stopped again and again. Others reach it through the network's proxy. */
export class MemberProcess {
  readonly name: string;
  readonly plan: ProcessPlan;
  readonly folder: string;
  readonly #network: Network;
  readonly flags: string[];
  readonly #journal: Journal;
  #peerPort = 0;
  #advertised = 0;
  #server: Pallium | undefined;
  /** Whether it is meant to run: one that ends by itself is a fault of its own. */
  #isWanted = false;

  constructor(plan: ProcessPlan, flags: readonly string[], network: Network, journal: Journal) {
    this.plan = plan;
    this.name = plan.name;
    this.folder = tempFolder(plan.name);
    this.flags = [...flags];
    this.#network = network;
    this.#journal = journal;
  }

  get isIngester(): boolean {
    return ['all', 'ingester'].includes(this.plan.target);
  }

  get takesWrites(): boolean {
    return ['all', 'distributor'].includes(this.plan.target);
  }

  get answersQueries(): boolean {
    return ['all', 'querier'].includes(this.plan.target);
  }

  /** Where it serves, or served until it ended; undefined: it was never started. */
  get url(): string | undefined {
    return this.#server?.url;
  }

  /** Opens the address at which others reach it. */
  async advertise(): Promise<string> {
    this.#advertised ||= await this.#network.listen(this.name, () => this.#peerPort);
    return `127.0.0.1:${this.#advertised}`;
  }

  async start(): Promise<void> {
    this.#peerPort = await freePort();
    const { target, zone = '', flags = [] } = this.plan;
    const server = await Pallium.start({
      dataDir: this.folder,
      waitReady: false,
      flags: [
        ...this.flags,
        `-target=${target}`,
        `-ring.instance-name=${this.name}`,
        `-ring.instance-zone=${zone}`,
        `-server.peer-listen-address=127.0.0.1:${this.#peerPort}`,
        `-server.peer-advertise-address=${await this.advertise()}`,
        ...flags,
      ],
    });
    this.#server = server;
    this.#isWanted = true;
    void server.ended.then(({ code, signal }) => {
      if (this.#isWanted && this.#server === server) {
        this.#journal.wasWrong(`${this.name} ended by itself: code ${code}, signal ${signal}\n${server.logTail(20)}`);
      }
    });
  }

  async ready(timeoutMs = READY_MS_MAX): Promise<void> {
    await this.#server!.ready(timeoutMs).catch(async (thrown) => {
      const said = await fetch(`${this.#server!.url}/ready`).then((answer) => answer.text(), String);
      throw new Error(`${this.name}: ${(thrown as Error).message}: ${said}\n${this.#server!.logTail()}`);
    });
  }

  async kill(): Promise<void> {
    this.#isWanted = false;
    await this.#server?.kill();
  }

  /** SIGTERM. @returns whether it ended well */
  async stop(): Promise<void> {
    this.#isWanted = false;
    const ended = await this.#server?.stop();
    if (ended !== undefined && ended.code !== 0) {
      this.#journal.wasWrong(`${this.name} did not end well: ${JSON.stringify(ended)}\n${this.#server!.logTail(20)}`);
    }
  }

  /** SIGSTOP for a while. */
  async freeze(forMs: number): Promise<void> {
    const pid = this.#server!.pid;
    process.kill(pid, 'SIGSTOP');
    await sleep(forMs);
    process.kill(pid, 'SIGCONT');
  }

  /** Takes its data folder away; it does not run. */
  loseFolder(): void {
    rmSync(this.folder, { recursive: true, force: true });
  }

  /** The ring as it shows it; undefined: it does not answer. */
  async ring(): Promise<RingAnswer | undefined> {
    if (this.url === undefined) return undefined;
    try {
      const answer = await fetch(`${this.url}/ring?format=json`, { signal: AbortSignal.timeout(2_000) });
      return (await answer.json()) as RingAnswer;
    } catch {
      return undefined;
    }
  }

  logTail(lines?: number): string {
    return this.#server?.logTail(lines) ?? '';
  }

  removeFiles(): void {
    rmSync(this.folder, { recursive: true, force: true });
    rmSync(`${this.folder}.log`, { force: true });
  }
}

export interface RingAnswer {
  readonly version: number;
  readonly confirmed: number;
  readonly members: readonly {
    readonly id: string;
    readonly state: string;
    readonly word: number;
    readonly complete: boolean;
  }[];
}

/** Those of a kind that a load balancer sends to: whose `/ready` is 200, asked again and again. */
export class Balancer {
  readonly #processes: readonly MemberProcess[];
  readonly #ready = new Set<MemberProcess>();
  readonly #stop = new AbortController();
  readonly #rounds: Promise<unknown>;
  #turn = 0;

  constructor(processes: readonly MemberProcess[]) {
    this.#processes = processes;
    this.#rounds = Promise.all(processes.map((process) => this.#watch(process)));
  }

  /** The next that is ready, or any where none is. */
  pick(): MemberProcess {
    const ready = this.#processes.filter((process) => this.#ready.has(process));
    const from = ready.length > 0 ? ready : this.#processes;
    return from[this.#turn++ % from.length]!;
  }

  /** Leaves one alone until it is seen to be ready again. */
  failed(process: MemberProcess): void {
    this.#ready.delete(process);
  }

  async close(): Promise<void> {
    this.#stop.abort();
    await this.#rounds;
  }

  async #watch(process: MemberProcess): Promise<void> {
    const { signal } = this.#stop;
    while (!signal.aborted) {
      const { url } = process;
      const asked =
        url === undefined ? undefined : fetch(`${url}/ready`, { signal: AbortSignal.timeout(CHECK_MS_MAX) });
      const isReady = await asked
        ?.then(async (answer) => {
          await answer.text();
          return answer.status === 200;
        })
        .catch(() => false);
      if (isReady) this.#ready.add(process);
      else this.#ready.delete(process);
      await sleep(CHECK_EVERY_MS, undefined, { signal }).catch(() => {});
    }
  }
}

const CHECK_EVERY_MS = 500;
const CHECK_MS_MAX = 1_500;

/** Starts all, ingesters first: the rest is ready when it has a ring. */
export async function startAll(processes: readonly MemberProcess[]): Promise<void> {
  const ingesters = processes.filter(({ isIngester }) => isIngester);
  for (const process of ingesters) await process.start();
  for (const process of processes) if (!process.isIngester) await process.start();
  for (const process of processes) await process.ready();
  await until(
    'all ingesters are members',
    async () => {
      const ring = await ingesters[0]!.ring();
      return (
        ring !== undefined &&
        ring.confirmed === ring.version &&
        ring.members.filter(({ state }) => state === 'active').length === ingesters.length
      );
    },
    { timeoutMs: READY_MS_MAX, intervalMs: 200 },
  );
}
