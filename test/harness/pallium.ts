import { type ChildProcess, spawn } from 'node:child_process';
import { closeSync, mkdtempSync, openSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ApiClient } from './api.ts';
import { freePort } from './ports.ts';
import { until } from './wait.ts';

const launcher = join(import.meta.dirname, '../../bin/pallium.js');

/** Flags that all servers of a run get besides: the same tests, of processes that are set up otherwise. */
const MORE_FLAGS = (process.env.SERVER_FLAGS ?? '').split(' ').filter((flag) => flag !== '');

export interface PalliumOptions {
  /** Without their value's blank: `-ingester.window=1m`. */
  readonly flags?: readonly string[];
  /** Kept by the caller; without it a fresh one is made, and removed at the end. */
  readonly dataDir?: string;
  readonly port?: number;
  readonly readyTimeoutMs?: number;
  /** Return as soon as the process runs: for tests of what happens before it is ready. */
  readonly waitReady?: boolean;
  /** The scheme of the address; `https:` goes with TLS flags. */
  readonly scheme?: 'http' | 'https';
  /** Whether it writes its own metrics into a tenant, every 15 s: a window is always open then. */
  readonly ownMetrics?: boolean;
  /** A wrapper that runs before the command, like `prlimit`. */
  readonly wrapper?: readonly string[];
  /** The launcher of another build; absent: that of this checkout. */
  readonly launcher?: string | undefined;
  /** Added to the environment. */
  readonly env?: Readonly<Record<string, string>>;
}

/** A server process of its own. `await using` ends it. */
export class Pallium implements AsyncDisposable {
  readonly url: string;
  readonly port: number;
  readonly dataDir: string;
  readonly logFile: string;
  /** Settles when the process is gone. */
  readonly ended: Promise<{ code: number | null; signal: NodeJS.Signals | null }>;
  readonly startedAtMs = performance.now();
  readonly #child: ChildProcess;
  readonly #ownFolder: string | undefined;

  private constructor(options: PalliumOptions, port: number) {
    this.port = port;
    this.url = `${options.scheme ?? 'http'}://127.0.0.1:${port}`;
    this.#ownFolder = options.dataDir === undefined ? tempFolder('data') : undefined;
    this.dataDir = options.dataDir ?? this.#ownFolder!;
    this.logFile = `${this.dataDir}.log`;
    const log = openSync(this.logFile, 'a');
    const [command, ...args] = [
      ...(options.wrapper ?? []),
      process.execPath,
      options.launcher ?? launcher,
      `-data.dir=${this.dataDir}`,
      `-server.http-listen-port=${port}`,
      `-self-monitoring.enabled=${options.ownMetrics === true}`,
      ...(options.flags ?? []),
      ...MORE_FLAGS,
    ];
    this.#child = spawn(command!, args, { stdio: ['ignore', log, log], env: { ...process.env, ...options.env } });
    closeSync(log);
    this.ended = new Promise((done, fail) => {
      this.#child.once('error', fail);
      this.#child.once('exit', (code, signal) => done({ code, signal }));
    });
    running.add(this);
    this.ended.then(
      () => running.delete(this),
      () => running.delete(this),
    );
  }

  static async start(options: PalliumOptions = {}): Promise<Pallium> {
    const server = new Pallium(options, options.port ?? (await freePort()));
    if (options.waitReady === false) return server;
    try {
      await server.ready(options.readyTimeoutMs);
    } catch (thrown) {
      await server.kill();
      throw new Error(`${(thrown as Error).message}; its log ends:\n${server.logTail()}`, { cause: thrown });
    }
    return server;
  }

  get pid(): number {
    return this.#child.pid!;
  }

  get alive(): boolean {
    return this.#child.exitCode === null && this.#child.signalCode === null;
  }

  api(headers: Readonly<Record<string, string>> = {}): ApiClient {
    return new ApiClient(this.url, headers);
  }

  /** Waits for 200 of `/ready`. @throws at once when the process ends */
  async ready(timeoutMs = 180_000): Promise<void> {
    const answer = await until(
      `Pallium on port ${this.port} ready`,
      async () => !this.alive || (await fetch(`${this.url}/ready`)).status === 200,
      { timeoutMs, intervalMs: 100 },
    );
    if (answer && !this.alive) throw new Error(`Pallium on port ${this.port} ended before it was ready`);
  }

  /** Writes all that the head holds to the store. */
  async flush(): Promise<void> {
    const answer = await fetch(`${this.url}/ingester/flush?wait=true`, { method: 'POST' });
    if (answer.status !== 200) throw new Error(`flush: ${answer.status} ${await answer.text()}\n${this.logTail(30)}`);
    await answer.body?.cancel();
  }

  /** SIGTERM, and what became of it. */
  async stop(timeoutMs = 120_000): Promise<{ code: number | null; signal: NodeJS.Signals | null }> {
    if (this.alive) this.#child.kill('SIGTERM');
    const timer = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    try {
      return await this.ended;
    } finally {
      clearTimeout(timer);
    }
  }

  /** SIGKILL: as if the machine had taken it away. */
  async kill(): Promise<void> {
    if (this.alive) this.#child.kill('SIGKILL');
    await this.ended;
  }

  log(): string {
    return readFileSync(this.logFile, 'utf8');
  }

  logTail(lines = 40): string {
    return this.log().split('\n').slice(-lines).join('\n');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.kill();
    if (this.#ownFolder !== undefined && process.env.PALLIUM_KEEP !== '1') {
      rmSync(this.#ownFolder, { recursive: true, force: true });
      rmSync(this.logFile, { force: true });
    }
  }

  /** For the end of a test process that did not come to its end. */
  killNow(): void {
    if (this.alive) this.#child.kill('SIGKILL');
  }
}

const running = new Set<Pallium>();
process.on('exit', () => {
  for (const server of running) server.killNow();
});

export function tempFolder(name: string): string {
  return mkdtempSync(join(tmpdir(), `pallium-${name}-`));
}
