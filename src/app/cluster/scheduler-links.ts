import type { JobDesk } from '../../frontend/job-desk.ts';
import type { Logger } from '../../kit/observe/log.ts';
import type { Loops } from '../../kit/service/loops.ts';
import type { Service } from '../../kit/service/service.ts';
import { backoffMs } from '../../lib/backoff.ts';
import type { Clock } from '../../lib/clock.ts';
import { systemRandom } from '../../lib/random.ts';
import { AppError } from '../../model/errors.ts';
import { peerErrors } from '../../model/errors-peer.ts';
import { processErrors } from '../../model/errors-process.ts';
import { RemoteScheduler } from '../../peer/remote-scheduler.ts';
import { PeerAddresses } from './peer-addresses.ts';
import type { PeerHost } from './peer-host.ts';

export interface SchedulerLinksOptions {
  readonly names: readonly string[];
  /** How often names are looked up. */
  readonly periodMs: number;
  readonly desk: JobDesk;
  readonly peers: PeerHost;
  readonly loops: Loops;
  readonly log: Logger;
  readonly clock: Clock;
}

const AGAIN = { minMs: 100, maxMs: 2_000, triesMax: 1 };

/** A front end's links to all schedulers: each is given jobs as long as it can be reached. */
export class SchedulerLinks implements Service {
  readonly name = 'scheduler-links';
  readonly #options: SchedulerLinksOptions;
  readonly #addresses: PeerAddresses;
  readonly #ends = new Map<string, AbortController>();
  readonly #loops = new Set<Promise<void>>();

  /** @throws where a name is none */
  constructor(options: SchedulerLinksOptions) {
    this.#options = options;
    const { names, periodMs, loops, log, clock } = options;
    this.#addresses = new PeerAddresses({
      names,
      periodMs,
      added: (address) => this.#add(address),
      removed: (address) => this.#remove(address),
      loops,
      log,
      clock,
    });
  }

  async start(): Promise<void> {
    this.#addresses.start();
  }

  async stop(): Promise<void> {
    await this.#addresses.stop();
    for (const address of [...this.#ends.keys()]) this.#remove(address);
    await Promise.all(this.#loops);
  }

  notReady(): string | undefined {
    const { desk, names } = this.#options;
    return desk.schedulers > 0 ? undefined : `none of the query schedulers ${names.join(', ')} can be reached`;
  }

  #add(address: string): void {
    const ends = new AbortController();
    this.#ends.set(address, ends);
    const loop = this.#hold(address, ends.signal);
    this.#loops.add(loop);
    void loop.then(() => this.#loops.delete(loop));
  }

  #remove(address: string): void {
    this.#ends.get(address)?.abort(processErrors.shuttingDown({}));
    this.#ends.delete(address);
    this.#options.peers.forget(address);
  }

  /** Keeps a link open until the signal. */
  async #hold(address: string, signal: AbortSignal): Promise<void> {
    const { desk, peers, log, clock } = this.#options;
    let failures = 0;
    while (!signal.aborted) {
      let remove = (_: AppError) => {};
      try {
        const news = {
          failed: desk.failed.bind(desk),
          going: () => retire(),
        };
        let retire = () => {};
        const { scheduler, ended } = await RemoteScheduler.open(peers.caller(address), news, signal);
        retire = () => desk.retire(scheduler);
        remove = (error) => desk.remove(scheduler, error);
        desk.add(scheduler);
        failures = 0;
        await ended;
        remove(peerErrors.peerGone({ peer: address, reason: 'it ends' }));
      } catch (error) {
        remove(AppError.from(error));
        if (signal.aborted) return;
        if (failures === 0) log.warn({ address, err: (error as Error).message }, 'a query scheduler cannot be reached');
        failures++;
      }
      await clock.sleep(backoffMs(AGAIN, Math.max(1, failures), systemRandom), signal).catch(() => {});
    }
  }
}
