import { readFileSync, rmSync } from 'node:fs';
import { Pallium, type PalliumOptions, tempFolder } from './pallium.ts';
import { cpuMs } from './process-cost.ts';

/** Settings of a cluster on loopback whose ring moves within a second. */
export const QUICK_RING: readonly string[] = [
  '-ring.heartbeat-period=500ms',
  '-ring.heartbeat-timeout=5s',
  '-ring.poll-period=200ms',
];

/** Settings of small processes: one thread for each thing. */
export const ONE_THREAD: readonly string[] = [
  '-ingester.shards=1',
  '-querier.workers=1',
  '-distributor.edge-workers=1',
];

/** Processes of one cluster, each with a folder of its own that stays over its restarts. */
export class Cluster implements AsyncDisposable {
  readonly #flags: readonly string[];
  readonly #folders = new Map<string, string>();
  readonly processes = new Map<string, Pallium>();

  /**
   * @param flags of all processes: the store, and what else they have in common
   * @param folders of processes that ran before, by name; they are removed as well
   */
  constructor(
    flags: readonly string[],
    { folders = {} }: { readonly folders?: Readonly<Record<string, string>> } = {},
  ) {
    for (const [name, folder] of Object.entries(folders)) this.#folders.set(name, folder);
    this.#flags = ['-distributor.replication-factor=3', '-server.peer-listen-address=127.0.0.1:0', ...flags];
  }

  /** Starts a process, or starts it again on its folder, without waiting until it is ready. */
  async start(
    name: string,
    flags: readonly string[] = [],
    options: Pick<PalliumOptions, 'env' | 'launcher'> = {},
  ): Promise<Pallium> {
    const dataDir = this.folder(name);
    const process = await Pallium.start({
      ...options,
      dataDir,
      waitReady: false,
      flags: [...this.#flags, `-ring.instance-name=${name}`, ...flags],
    });
    this.processes.set(name, process);
    return process;
  }

  /** Data folder of a process, which may not have run yet. */
  folder(name: string): string {
    const folder = this.#folders.get(name) ?? tempFolder(name);
    this.#folders.set(name, folder);
    return folder;
  }

  /** All that processes of this name have logged. */
  logOf(name: string): string {
    return readFileSync(`${this.folder(name)}.log`, 'utf8');
  }

  of(name: string): Pallium {
    const process = this.processes.get(name);
    if (process === undefined) throw new Error(`no process ${name} was started`);
    return process;
  }

  /** Waits until all that run are ready, or those that are named. */
  async ready(...names: readonly string[]): Promise<void> {
    const awaited = names.length === 0 ? [...this.processes.values()] : names.map((name) => this.of(name));
    for (const process of awaited) {
      await process.ready(120_000).catch(async (thrown) => {
        const said = await fetch(`${process.url}/ready`).then((answer) => answer.text(), String);
        throw new Error(`${(thrown as Error).message}: ${said}\n${process.logTail()}`);
      });
    }
  }

  /** CPU of all processes that run, or of those that are named, with all their threads. */
  cpuMs(...names: readonly string[]): number {
    const counted = names.length === 0 ? [...this.processes.values()] : names.map((name) => this.of(name));
    return counted.reduce((sum, { pid, alive }) => sum + (alive ? cpuMs(pid) : 0), 0);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all([...this.processes.values()].map((process) => process.kill()));
    for (const folder of this.#folders.values()) {
      rmSync(folder, { recursive: true, force: true });
      rmSync(`${folder}.log`, { force: true });
    }
  }
}
