import type { Member, MemberRows } from '../chunkstore/documents/member-rows.ts';
import type { AlertmanagerMember } from '../contract/alertmanager.ts';
import { type Clock, timeout } from '../lib/clock.ts';
import { isElsewhere } from '../model/errors-alertmanager.ts';

export interface SharingOptions {
  readonly members: MemberRows;
  readonly self: Member;
  readonly beatMs: number;
  /** Time after which others may have taken over what is this member's. */
  readonly goneMs: number;
  /** The way to another member. */
  readonly member: (member: Member) => AlertmanagerMember;
  readonly clock: Clock;
}

/** Tries to reach the owner of a tenant that moves meanwhile. */
const TRIES_MAX = 5;
const AGAIN_MS = 200;
const RELEASE_MS_MAX = 10_000;

/** The Alertmanagers that share a store: whole tenants are owned, and asked for at their owner. */
export class Sharing {
  readonly #options: SharingOptions;
  #beatMs: number | undefined;

  constructor(options: SharingOptions) {
    this.#options = options;
  }

  get self(): Member {
    return this.#options.self;
  }

  get live(): readonly Member[] {
    return this.#options.members.live;
  }

  get beatMs(): number {
    return this.#options.beatMs;
  }

  /** Whether another member tells the same address: neither asks the other, and each has all tenants. */
  get isAddressShared(): boolean {
    return this.#options.members.isAddressShared;
  }

  owns(tenant: string): boolean {
    return this.#options.members.owns(tenant);
  }

  /**
   * Shows that this member lives, and looks for others.
   * @returns whether tenants may have other owners now, and whether others may have held them meanwhile
   */
  async beat(signal: AbortSignal): Promise<{ readonly hasChanged: boolean; readonly wasAway: boolean }> {
    const { members, goneMs, clock } = this.#options;
    const hasChanged = await members.beat(signal);
    const nowMs = clock.monotonicMs();
    const wasAway = this.#beatMs !== undefined && nowMs - this.#beatMs > AWAY_SHARE * goneMs;
    this.#beatMs = nowMs;
    return { hasChanged, wasAway };
  }

  /** @returns whether tenants may have other owners now */
  look(signal: AbortSignal): Promise<boolean> {
    return this.#options.members.look(signal);
  }

  leave(): Promise<void> {
    return this.#options.members.leave();
  }

  /**
   * Has the owner of a tenant do something, wherever it is.
   * @param moved called when the owner turned out to be another one, before the next try
   */
  async atOwner<T>(
    tenant: string,
    here: () => Promise<T>,
    there: (owner: AlertmanagerMember) => Promise<T>,
    moved: () => Promise<void>,
    signal: AbortSignal,
  ): Promise<T> {
    const { members, self, member, clock } = this.#options;
    for (let tries = 1; ; tries++) {
      const owner = members.ownerOf(tenant);
      try {
        return owner.id === self.id ? await here() : await there(member(owner));
      } catch (thrown) {
        if (!isElsewhere(thrown) || tries === TRIES_MAX) throw thrown;
        await clock.sleep(AGAIN_MS, signal);
        await moved();
      }
    }
  }

  /**
   * Asks the one who held a tenant to let go of it; one that cannot be reached is fenced by what is written next.
   * @throws tenantElsewhere where it goes on
   */
  async release(tenant: string, holder: string, signal: AbortSignal): Promise<void> {
    const { members, member, self, clock } = this.#options;
    const live = members.live.find(({ id }) => id === holder);
    if (live === undefined || holder === self.id) return;
    const limit = timeout(clock, RELEASE_MS_MAX);
    try {
      await member(live).release(tenant, AbortSignal.any([signal, limit.signal]));
    } catch (thrown) {
      signal.throwIfAborted();
      if (isElsewhere(thrown)) throw thrown;
    } finally {
      limit.cancel();
    }
  }
}

/** Share of the time to be gone after which a member that did not beat asks anew what is its own. */
const AWAY_SHARE = 0.8;
