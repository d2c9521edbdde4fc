import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { systemClock } from '../../src/lib/clock.ts';
import { CASE_SECONDS, type Case, type Event, PULSE } from './random-case.ts';

/** An Alertmanager that is asked over its v2 API. */
export interface Side {
  /** With the prefix before `/api/v2`. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/** A webhook, as far as both have to say the same. */
export interface Told {
  readonly atMs: number;
  readonly text: string;
}

/** Takes webhooks of both sides: paths begin with the side's name. */
export class Hooks {
  readonly #server: Server;
  /** By side and receiver. */
  readonly #told = new Map<string, Told[]>();
  #startMs = 0;
  #endMs = 0;

  private constructor(server: Server) {
    this.#server = server;
  }

  static async listen(): Promise<Hooks> {
    const server = createServer();
    const hooks = new Hooks(server);
    server.on('request', (request, response) => {
      const atMs = systemClock.monotonicMs() - hooks.#startMs;
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const list = hooks.#told.get(request.url!) ?? [];
        hooks.#told.set(request.url!, list);
        if (atMs < hooks.#endMs) list.push({ atMs, text: textOf(Buffer.concat(parts).toString()) });
        response.end();
      });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return hooks;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The last moments are not kept: one side may not have come to them. */
  begin(secondMs: number): void {
    this.#startMs = systemClock.monotonicMs();
    this.#endMs = (CASE_SECONDS - 1) * secondMs;
    this.#told.clear();
  }

  /** The most by which a side's pulse came later than its first beat says. */
  latenessMs(side: string, secondMs: number): number {
    const [first, ...beats] = this.of(side, PULSE);
    return Math.max(0, ...beats.map(({ atMs }, i) => atMs - first!.atMs - (i + 1) * secondMs));
  }

  of(side: string, receiver: string): readonly Told[] {
    return this.#told.get(`/${side}/${receiver}`) ?? [];
  }

  receivers(side: string): string[] {
    return [...this.#told.keys()]
      .filter((path) => path.startsWith(`/${side}/`))
      .map((path) => path.slice(side.length + 2));
  }

  close(): void {
    this.#server.closeAllConnections();
    this.#server.close();
  }
}

interface Message {
  readonly [name: string]: unknown;
  readonly alerts: readonly {
    readonly labels: object;
    readonly status: string;
    readonly fingerprint: string;
    readonly annotations: object;
  }[];
}

/** Without times and the address of the Alertmanager. */
function textOf(body: string): string {
  const { alerts, externalURL: _, ...rest } = JSON.parse(body) as Message;
  const told = alerts.map(({ status, labels, annotations, fingerprint }) => ({
    status,
    labels,
    annotations,
    fingerprint,
  }));
  return JSON.stringify({ ...rest, alerts: told });
}

/** The first requests take longer. */
export async function warmUp(sides: readonly Side[]): Promise<void> {
  for (let i = 0; i < 20; i++) {
    const labels = { alertname: 'warm', number: String(i) };
    for (const side of sides) await happen(side, [{ kind: 'alerts', atMs: 0, alerts: [{ labels, annotations: {} }] }]);
  }
}

/**
 * Plays the events of all cases on both sides at once.
 * @returns the most by which each side had taken an event later than it was due
 */
export async function play(cases: readonly Case[], sides: readonly Side[], secondMs: number): Promise<number[]> {
  const startMs = systemClock.monotonicMs();
  const all = cases.flatMap(({ events }) => events);
  for (let second = 0; second < CASE_SECONDS; second++) all.push(pulseAt(second * secondMs));
  all.sort((a, b) => a.atMs - b.atMs);
  const lateMs = sides.map(() => 0);
  for (const [atMs, events] of Map.groupBy(all, ({ atMs }) => atMs)) {
    await systemClock.sleep(Math.max(0, startMs + atMs - systemClock.monotonicMs()));
    await Promise.all(
      sides.map(async (side, i) => {
        await happen(side, events);
        lateMs[i] = Math.max(lateMs[i]!, systemClock.monotonicMs() - startMs - atMs);
      }),
    );
  }
  await systemClock.sleep(Math.max(0, startMs + CASE_SECONDS * secondMs - systemClock.monotonicMs()));
  return lateMs;
}

/** An alert that goes on. */
function pulseAt(atMs: number): Event {
  const alert = { labels: { alertname: PULSE }, annotations: {}, endsInMs: 600_000 };
  return { kind: 'alerts', atMs, alerts: [alert] };
}

async function happen({ url, headers }: Side, events: readonly Event[]): Promise<void> {
  const post = async (path: string, body: unknown) => {
    const answer = await fetch(`${url}/api/v2/${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', ...headers },
      body: JSON.stringify(body),
    });
    const text = await answer.text();
    // a machine that is busy sends late: then the case differs, and is played again
    const isLate = answer.status === 400 && text.includes("end time can't be in the past");
    if (!answer.ok && !isLate) throw new Error(`${url}: ${answer.status} ${text}`);
  };
  const nowMs = Date.now();
  const time = (ms: number) => new Date(ms).toISOString();
  for (const event of events) {
    if (event.kind !== 'silence') continue;
    const { matchers, forMs } = event;
    await post('silences', {
      matchers,
      startsAt: time(nowMs),
      endsAt: time(nowMs + forMs),
      createdBy: 'x',
      comment: 'x',
    });
  }
  const alerts = events.flatMap((event) => (event.kind === 'alerts' ? event.alerts : []));
  const given = alerts.map(({ labels, annotations, endsInMs }) => ({
    labels,
    annotations,
    ...(endsInMs === undefined ? {} : { endsAt: time(nowMs + endsInMs) }),
    ...(endsInMs === undefined || endsInMs === 0 ? {} : { startsAt: time(nowMs) }),
  }));
  if (given.length > 0) await post('alerts', given);
}

/** Notifications that one side told otherwise than the other. Times may differ by `toleranceMs`. */
export function differences(
  hooks: Hooks,
  receivers: Iterable<string>,
  [one, two]: readonly [string, string],
  toleranceMs: number,
): string[] {
  const found: string[] = [];
  for (const receiver of receivers) {
    // groups of one receiver that are due at once come in any order
    const order = (side: string) =>
      [...Map.groupBy(hooks.of(side, receiver), ({ text }) => JSON.parse(text).groupKey as string)].sort(([a], [b]) =>
        a < b ? -1 : 1,
      );
    const [ours, theirs] = [order(one), order(two)];
    const keys = new Set([...ours, ...theirs].map(([key]) => key));
    for (const key of keys) {
      const [a, b] = [ours, theirs].map((groups) => groups.find(([each]) => each === key)?.[1] ?? []);
      for (let i = 0; i < Math.max(a!.length, b!.length); i++) {
        const [x, y] = [a![i], b![i]];
        if (x !== undefined && y !== undefined && x.text === y.text && Math.abs(x.atMs - y.atMs) < toleranceMs)
          continue;
        const shown = (told: Told | undefined) =>
          told === undefined ? 'nothing' : `${(told.atMs / 1000).toFixed(2)}s ${told.text}`;
        found.push(`${receiver} ${key} #${i}:\n  ${one}: ${shown(x)}\n  ${two}: ${shown(y)}`);
        break;
      }
    }
  }
  return found;
}
