import type { Clock } from '../../lib/clock.ts';
import type { Logger } from '../observe/log.ts';

/** Something that runs as long as the process does. Parts that need neither start nor stop are no services. */
export interface Service {
  readonly name: string;
  /** Resolves when it does its work. What it must keep doing afterwards is its own. */
  start?(signal: AbortSignal): Promise<void>;
  /** Resolves when all is safe. After `stop.signal` is aborted only what cannot be left undone. */
  stop?(stop: Stop): Promise<void>;
  /** Why it cannot serve yet, or undefined. Asked while it starts, too. */
  notReady?(): string | undefined;
}

/** The order to end, as a service gets it. */
export interface Stop {
  /** Aborted at the deadline. */
  readonly signal: AbortSignal;
  /** Says how far it is: shown to whoever waits. */
  progress(text: string): void;
}

export type ServiceState = 'new' | 'starting' | 'running' | 'stopping' | 'terminated' | 'failed';

/** A service that did not start, named. */
export class StartError extends Error {
  readonly service: string;

  constructor(service: string, cause: unknown) {
    super(`${service} did not start: ${cause instanceof Error ? cause.message : String(cause)}`, { cause });
    this.name = 'StartError';
    this.service = service;
  }
}

/** Starts services in order and stops them in reverse. */
export class ServiceGroup {
  readonly #services: readonly Service[];
  readonly #states = new Map<string, ServiceState>();
  readonly #log: Logger;
  readonly #clock: Clock;
  readonly #starting = new AbortController();
  #stopped: Promise<void> | undefined;

  constructor(services: readonly Service[], log: Logger, clock: Clock) {
    this.#services = services;
    this.#log = log;
    this.#clock = clock;
    for (const { name } of services) this.#states.set(name, 'new');
  }

  /** @throws StartError after those that had started were stopped again */
  async start(): Promise<void> {
    for (const service of this.#services) {
      if (this.#starting.signal.aborted) return;
      this.#states.set(service.name, 'starting');
      try {
        await service.start?.(this.#starting.signal);
        this.#states.set(service.name, 'running');
      } catch (thrown) {
        this.#states.set(service.name, 'failed');
        await this.stop(10_000);
        throw new StartError(service.name, thrown);
      }
    }
  }

  /** Stops all, the last first. Rejects never: what fails is logged. A second call waits for the first. */
  stop(deadlineMs: number): Promise<void> {
    this.#stopped ??= this.#stopAll(deadlineMs);
    return this.#stopped;
  }

  async #stopAll(deadlineMs: number): Promise<void> {
    this.#starting.abort(new Error('stopping'));
    const deadline = new AbortController();
    const tooLate = () => deadline.abort(new Error(`not done within ${deadlineMs} ms`));
    const stopped = new AbortController();
    this.#clock.sleep(deadlineMs, stopped.signal).then(tooLate, () => {});
    for (const service of this.#services.toReversed()) {
      const state = this.#states.get(service.name);
      if (state === 'new' || state === 'failed') continue;
      this.#states.set(service.name, 'stopping');
      const startMs = this.#clock.monotonicMs();
      try {
        await service.stop?.({
          signal: deadline.signal,
          progress: (text) => this.#log.info({ service: service.name }, text),
        });
        this.#states.set(service.name, 'terminated');
        const tookMs = Math.round(this.#clock.monotonicMs() - startMs);
        this.#log.debug({ service: service.name, tookMs }, 'stopped');
      } catch (err) {
        this.#states.set(service.name, 'failed');
        this.#log.error({ service: service.name, err }, 'did not stop cleanly');
      }
    }
    stopped.abort();
  }

  /** Why the process cannot serve yet, one line per service; empty when it can. */
  notReady(): string[] {
    return this.#services.flatMap((service) => {
      const state = this.#states.get(service.name)!;
      if (state !== 'running' && state !== 'starting') return [`${service.name}: ${state}`];
      const reason = service.notReady?.();
      const texts = [...(state === 'starting' ? [state] : []), ...(reason === undefined ? [] : [reason])];
      return texts.length === 0 ? [] : [`${service.name}: ${texts.join(', ')}`];
    });
  }

  /** Every service with its state, in order of start. */
  get states(): readonly (readonly [name: string, state: ServiceState])[] {
    return [...this.#states];
  }
}
