import type { EventHead, EventRows } from '../deployments/event-book.ts';
import type { Clock } from '../lib/clock.ts';

const KIND = 'deployment-job';
const NAME = 'owner';
/** The owner writes its row this often. */
const WRITE_MS = 2 * 60_000;
/** A row that stood still for so long, on the watcher's own clock, has no owner any more. */
const STILL_MS = 5 * 60_000;

interface Row {
  readonly owner: string;
  /** Goes up with each write. */
  readonly count: number;
  /** The last 30 days were looked at once. */
  readonly hasHistory: boolean;
}

interface Seen {
  readonly value: string;
  readonly sinceMs: number;
}

/** One owner for each tenant's job, by a row in the table of state: others take over when it stands still. */
export class TenantLeases {
  readonly #rows: EventRows;
  readonly #owner: string;
  readonly #clock: Clock;
  readonly #seen = new Map<string, Seen>();
  readonly #own = new Map<string, { head: EventHead; row: Row; writtenMs: number }>();

  /** @param owner a name that no other process has had */
  constructor(rows: EventRows, owner: string, clock: Clock) {
    this.#rows = rows;
    this.#owner = owner;
    this.#clock = clock;
  }

  /** Whether the tenant's job is this process' for now; takes it where nobody has it. */
  async hold(tenant: string, signal?: AbortSignal): Promise<boolean> {
    const nowMs = this.#clock.monotonicMs();
    const own = this.#own.get(tenant);
    if (own !== undefined && nowMs - own.writtenMs < WRITE_MS) return true;
    const head = await this.#rows.get({ tenant, kind: KIND, name: NAME }, signal);
    const row = head === undefined ? undefined : rowIn(head);
    if (head !== undefined && row !== undefined && row.owner !== this.#owner && !this.#isStill(tenant, head, nowMs)) {
      this.#own.delete(tenant);
      return false;
    }
    return this.#write(tenant, head, { hasHistory: row?.hasHistory ?? false }, signal);
  }

  hasHistory(tenant: string): boolean {
    return this.#own.get(tenant)?.row.hasHistory === true;
  }

  /** The tenant's last 30 days were looked at. */
  async keepHistory(tenant: string, signal?: AbortSignal): Promise<void> {
    await this.#write(tenant, this.#own.get(tenant)?.head, { hasHistory: true }, signal);
  }

  async #write(
    tenant: string,
    head: EventHead | undefined,
    more: Pick<Row, 'hasHistory'>,
    signal?: AbortSignal,
  ): Promise<boolean> {
    const before = head === undefined ? undefined : rowIn(head);
    const row: Row = { owner: this.#owner, count: (before?.count ?? 0) + 1, ...more };
    const body = new TextEncoder().encode(JSON.stringify(row));
    const written = await this.#rows.compareAndSet(
      { tenant, kind: KIND, name: NAME },
      head,
      { pages: [], body },
      signal,
    );
    if (written === undefined) {
      this.#own.delete(tenant);
      return false;
    }
    this.#own.set(tenant, { head: written, row, writtenMs: this.#clock.monotonicMs() });
    this.#seen.delete(tenant);
    return true;
  }

  #isStill(tenant: string, { value }: EventHead, nowMs: number): boolean {
    const text = Buffer.from(value).toString('base64');
    const seen = this.#seen.get(tenant);
    if (seen?.value === text) return nowMs - seen.sinceMs >= STILL_MS;
    this.#seen.set(tenant, { value: text, sinceMs: nowMs });
    return false;
  }
}

function rowIn({ body }: EventHead): Row | undefined {
  try {
    return JSON.parse(new TextDecoder().decode(body));
  } catch {
    return undefined;
  }
}
