import { MemberWatch, type MemberWatchOptions, ownerAmong } from '../chunkstore/documents/member-rows.ts';
import { ALERTMANAGERS } from '../contract/alertmanager.ts';
import type { AlertTarget, PostedAlert } from '../contract/rules.ts';
import { isElsewhere } from '../model/errors-alertmanager.ts';

export interface AlertmanagerOwnersOptions extends Omit<MemberWatchOptions, 'kind'> {
  /** The way to the Alertmanager at an address. */
  readonly at: (address: string) => AlertTarget;
}

/** Tries to reach the owner of a tenant that moves meanwhile. */
const TRIES_MAX = 5;
const AGAIN_MS = 200;

/** The Alertmanagers of other processes on the same store: alerts of a tenant go to the one that owns it. */
export class AlertmanagerOwners implements AlertTarget {
  readonly #options: AlertmanagerOwnersOptions;
  readonly #watch: MemberWatch;
  #known = '';
  /** Tenants may have other owners since the last look. */
  #hasMoved = false;

  constructor(options: AlertmanagerOwnersOptions) {
    this.#options = options;
    this.#watch = new MemberWatch({ ...options, kind: ALERTMANAGERS });
  }

  /** Whether there is none on the store. Alerts for one that was there, and is gone, count as not taken. */
  get isAway(): boolean {
    return !this.#watch.hasAddress;
  }

  /** @returns whether tenants may have other owners now */
  async look(signal: AbortSignal): Promise<boolean> {
    await this.#see(signal);
    const hasMoved = this.#hasMoved;
    this.#hasMoved = false;
    return hasMoved;
  }

  async #see(signal: AbortSignal): Promise<void> {
    await this.#watch.read(signal);
    const before = this.#known;
    this.#known = this.#live()
      .map(({ id }) => id)
      .sort()
      .join();
    this.#hasMoved ||= this.#known !== before;
  }

  async post(tenant: string, alerts: readonly PostedAlert[], signal: AbortSignal): Promise<void> {
    for (let tries = 1; ; tries++) {
      const owner = ownerAmong(this.#live(), [tenant]);
      if (owner === undefined) throw new Error('no Alertmanager is seen on the store');
      try {
        return await this.#options.at(owner.address).post(tenant, alerts, signal);
      } catch (thrown) {
        if (!isElsewhere(thrown) || tries === TRIES_MAX) throw thrown;
        await this.#options.clock.sleep(AGAIN_MS, signal);
        await this.#see(signal);
      }
    }
  }

  #live() {
    return this.#watch.members().filter(({ address }) => address !== '');
  }
}
