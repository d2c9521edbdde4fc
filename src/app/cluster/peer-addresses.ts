import { lookup } from 'node:dns/promises';
import { isIP } from 'node:net';
import type { Logger } from '../../kit/observe/log.ts';
import { hostAndPort } from '../../kit/rpc/security.ts';
import type { Loop, Loops } from '../../kit/service/loops.ts';
import type { Clock } from '../../lib/clock.ts';

export interface PeerAddressesOptions {
  /** Settings: `host:port`, the host an address or a name. */
  readonly names: readonly string[];
  readonly periodMs: number;
  readonly added: (address: string) => void;
  readonly removed: (address: string) => void;
  /** Told of each round, where there is more than one. */
  readonly loops: Loops;
  readonly log: Logger;
  readonly clock: Clock;
  /** Addresses of a name. Default: as the system knows them. */
  readonly lookUp?: (host: string) => Promise<readonly string[]>;
}

const systemLookUp = async (host: string) => (await lookup(host, { all: true })).map(({ address }) => address);

/** Addresses of processes, looked up again and again: those of a name that has several count one by one. */
export class PeerAddresses {
  readonly #options: PeerAddressesOptions;
  /** By the setting that they are of. */
  readonly #known = new Map<string, readonly string[]>();
  readonly #stopping = new AbortController();
  /** Absent: addresses stand in the settings, and are looked up once. */
  readonly #loop: Loop | undefined;
  #looking: Promise<void> = Promise.resolve();

  /** @throws where a name is none */
  constructor(options: PeerAddressesOptions) {
    this.#options = options;
    const hosts = options.names.map((name) => hostAndPort(name).host);
    if (hosts.some((host) => isIP(host) === 0)) this.#loop = options.loops.add('peer-names', options.periodMs);
  }

  get all(): ReadonlySet<string> {
    return new Set([...this.#known.values()].flat());
  }

  start(): void {
    this.#looking = this.#look();
  }

  async stop(): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    await this.#looking;
  }

  async #look(): Promise<void> {
    const { periodMs, clock } = this.#options;
    const { signal } = this.#stopping;
    while (!signal.aborted) {
      if (this.#loop === undefined) return this.#lookUpAll();
      await this.#loop.run(() => this.#lookUpAll());
      await clock.sleep(periodMs, signal).catch(() => {});
    }
  }

  async #lookUpAll(): Promise<void> {
    await Promise.all(this.#options.names.map((name) => this.#lookUp(name)));
  }

  async #lookUp(name: string): Promise<void> {
    const { log, lookUp = systemLookUp } = this.#options;
    const { host, port } = hostAndPort(name);
    try {
      const found = isIP(host) === 0 ? await lookUp(host) : [host];
      // certificates are for names: one that stands for one address is called by it
      const own = found.length === 1 ? [name] : found.map((ip) => `${ip.includes(':') ? `[${ip}]` : ip}:${port}`);
      if (!this.#stopping.signal.aborted) this.#set(name, own);
    } catch (error) {
      this.#loop?.failed(error);
      log.warn({ name, err: (error as Error).message }, 'a name could not be looked up: its addresses stay');
    }
  }

  #set(name: string, own: readonly string[]): void {
    const { added, removed } = this.#options;
    const before = this.all;
    this.#known.set(name, own);
    const after = this.all;
    for (const address of before) if (!after.has(address)) removed(address);
    for (const address of after) if (!before.has(address)) added(address);
  }
}
