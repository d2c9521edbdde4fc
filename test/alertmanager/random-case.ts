import type { Random } from '../../src/lib/random.ts';

/** One routing tree with its receivers, and alerts that go through it. Cases share a configuration and are told apart by a label. */
export interface Case {
  readonly id: string;
  readonly route: object;
  readonly receivers: readonly object[];
  readonly inhibitRules: readonly object[];
  readonly events: readonly Event[];
}

/** Something that happens at a time, in milliseconds from the start. */
export type Event =
  | { readonly kind: 'alerts'; readonly atMs: number; readonly alerts: readonly EventAlert[] }
  | { readonly kind: 'silence'; readonly atMs: number; readonly matchers: readonly object[]; readonly forMs: number };

export interface EventAlert {
  readonly labels: Readonly<Record<string, string>>;
  readonly annotations: Readonly<Record<string, string>>;
  /** From the event on; absent: the resolve timeout. 0: it resolves. */
  readonly endsInMs?: number;
}

const eventsMax = 6;
export const CASE_SECONDS = 12;

export interface CaseOptions {
  /** Address of the webhook, to which the receiver's name is added. */
  readonly hook: string;
  /** Length of a case's second: the longer, the farther are events of a group from its flushes. */
  readonly secondMs: number;
}

/** The same random numbers make the same case, however long its seconds are. */
export function randomCase(id: string, random: Random, { hook, secondMs }: CaseOptions): Case {
  const pick = <T>(of: readonly T[]): T => of[Math.floor(random() * of.length)]!;
  const chance = (share: number) => random() < share;
  const seconds = (of: readonly number[]) => `${pick(of) * secondMs}ms`;
  const names = ['a', 'b', 'c'].slice(0, 1 + Math.floor(random() * 3)).map((name) => `${id}-${name}`);
  const receivers = names.map((name) => ({
    name,
    webhook_configs: [
      { url: `${hook}/${name}`, send_resolved: chance(0.8), ...(chance(0.15) ? { max_alerts: 1 } : {}) },
      ...(chance(0.15) ? [{ url: `${hook}/${name}-second`, send_resolved: chance(0.5) }] : []),
    ],
  }));
  const matcher = () =>
    pick(['severity="page"', 'severity=~"page|ticket"', 'team!="x"', 'zone=""', 'alertname=~"[ab]"', 'team=~".+"']);
  const timers = () => ({
    ...(chance(0.6) ? { group_wait: seconds([0, 0.5, 1]) } : {}),
    ...(chance(0.6) ? { group_interval: seconds([1, 2, 3]) } : {}),
    // never a multiple of an interval
    ...(chance(0.5) ? { repeat_interval: seconds([2.5, 4.5]) } : {}),
  });
  const grouping = () => ({ group_by: pick([['alertname'], ['...'], [], ['team', 'zone'], ['severity']]) });
  const tree = (depth: number): object => ({
    matchers: [matcher(), ...(chance(0.3) ? [matcher()] : [])],
    ...(chance(0.6) ? { receiver: pick(names) } : {}),
    ...(chance(0.5) ? grouping() : {}),
    ...timers(),
    ...(chance(0.3) ? { continue: true } : {}),
    ...(depth < 2 && chance(0.4) ? { routes: trees(depth + 1) } : {}),
  });
  const trees = (depth: number) => Array.from({ length: 1 + Math.floor(random() * 3) }, () => tree(depth));
  const route = {
    matchers: [`case="${id}"`],
    receiver: names[0],
    ...grouping(),
    group_wait: seconds([0, 0.5, 1]),
    group_interval: seconds([1, 2, 3]),
    repeat_interval: seconds([2.5, 4.5]),
    ...(chance(0.2) ? { active_time_intervals: ['always'] } : {}),
    ...(chance(0.1) ? { mute_time_intervals: [pick(['always', 'never'])] } : {}),
    ...(chance(0.3) ? { labels: { place: '{{ .CommonLabels.team }}-{{ .GroupLabels.alertname }}' } } : {}),
    routes: trees(1),
  };
  const inhibitRules = chance(0.4)
    ? [
        {
          source_matchers: [`case="${id}"`, 'severity="page"'],
          target_matchers: [`case="${id}"`, pick(['severity="ticket"', 'severity=~"page|ticket"'])],
          equal: pick([['team'], ['zone', 'team'], []]),
        },
      ]
    : [];
  const events = Array.from({ length: 3 + Math.floor(random() * (eventsMax - 2)) }, (_, i): Event => {
    // each in a phase of its own
    const atMs = Math.round((Math.floor((i * CASE_SECONDS * 0.6) / eventsMax) + i / eventsMax) * secondMs);
    if (chance(0.15)) {
      const matchers = [
        { name: 'case', value: id, isRegex: false, isEqual: true },
        { name: pick(['severity', 'team']), value: pick(['page', 'x|y', '']), isRegex: true, isEqual: chance(0.7) },
      ];
      return { kind: 'silence', atMs, matchers, forMs: (0.5 + Math.floor(random() * 4)) * secondMs };
    }
    const alerts = Array.from({ length: 1 + Math.floor(random() * 3) }, (): EventAlert => {
      const optional = (name: string, of: readonly string[]) => (chance(0.7) ? { [name]: pick(of) } : {});
      return {
        labels: {
          alertname: pick(['a', 'b', 'c']),
          case: id,
          ...optional('severity', ['page', 'ticket', 'info']),
          ...optional('team', ['x', 'y']),
          ...optional('zone', ['1', '2']),
        },
        annotations: { summary: pick(['one', 'two']) },
        ...pick([
          {},
          {},
          { endsInMs: 600_000 },
          { endsInMs: (1 + Math.floor(random() * 4) + 0.5 / eventsMax) * secondMs },
          { endsInMs: 0 },
        ]),
      };
    });
    // of equal labels one
    const once = new Map(alerts.map((alert) => [JSON.stringify(alert.labels), alert]));
    return { kind: 'alerts', atMs, alerts: [...once.values()] };
  });
  return { id, route, receivers, inhibitRules, events };
}

/** The receiver of an alert that fires all the time: told once a second, it shows how late a side is. */
export const PULSE = 'pulse';

/** The configuration of many cases. */
export function configOf(cases: readonly Case[], { hook, secondMs }: CaseOptions): string {
  const second = `${secondMs}ms`;
  const pulse = { matchers: [`alertname="${PULSE}"`], receiver: PULSE, group_by: ['alertname'] };
  const times = { group_wait: '0s', group_interval: second, repeat_interval: `${secondMs / 2}ms` };
  return JSON.stringify({
    global: { resolve_timeout: `${3.4 * secondMs}ms` },
    route: { receiver: 'nobody', routes: [{ ...pulse, ...times }, ...cases.map(({ route }) => route)] },
    receivers: [
      { name: 'nobody' },
      { name: PULSE, webhook_configs: [{ url: `${hook}/${PULSE}` }] },
      ...cases.flatMap(({ receivers }) => receivers),
    ],
    inhibit_rules: cases.flatMap(({ inhibitRules }) => inhibitRules),
    time_intervals: [
      { name: 'always', time_intervals: [{ years: ['2000:2999'] }] },
      { name: 'never', time_intervals: [{ years: ['1999'] }] },
    ],
  });
}
