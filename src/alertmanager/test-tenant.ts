import { StateRows } from '../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import { Schema } from '../chunkstore/schema.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { systemBytes } from '../lib/random.ts';
import type { TableClient } from '../table/client.ts';
import { MemoryTableStore } from '../table/memory.ts';
import type { GivenAlert } from './alert.ts';
import { loadConfig } from './config/load.ts';
import type { AlertmanagerLimits } from './limits.ts';
import type { Mail, MailServer } from './receivers/mail.ts';
import type { Answer, OutgoingRequest } from './receivers/notification.ts';
import { loadTemplates } from './templates/load.ts';
import { TenantAlertmanager, type TenantOptions } from './tenant.ts';

export const noLimits: AlertmanagerLimits = {
  configBytesMax: 0,
  templatesMax: 0,
  templateBytesMax: 0,
  groupsMax: 0,
  alertsMax: 0,
  alertsBytesMax: 0,
  alertLabelsMax: 0,
  alertBytesMax: 0,
  silencesMax: 0,
  silenceBytesMax: 0,
  notificationRate: 0,
  notificationRatePerIntegration: new Map(),
  firewallBlocksPrivate: false,
  firewallNetworks: [],
};

export const START_MS = Date.UTC(2026, 0, 5, 12);

/** An Alertmanager on a manual clock whose requests go nowhere: a process may end, and another begin on the same tables. */
export class TestTenant {
  readonly clock = new ManualClock(START_MS);
  readonly tables = new MemoryTableStore();
  readonly requests: (OutgoingRequest & { readonly atMs: number })[] = [];
  readonly mails: { readonly server: MailServer; readonly mail: Mail }[] = [];
  readonly events: string[] = [];
  readonly signal = new AbortController().signal;
  limits = noLimits;
  /** Fate of compare-and-sets: `go` gives the answer of the store. */
  compareAndSet: (go: () => Promise<boolean>, signal: AbortSignal | undefined) => Promise<boolean> = (go) => go();
  /** The answer to the next requests. */
  answer: (request: OutgoingRequest, signal: AbortSignal) => Answer | Promise<Answer> = () => ok();
  am!: TenantAlertmanager;
  #ids = 0;

  static async open(config?: string): Promise<TestTenant> {
    const test = new TestTenant();
    await test.restart(config);
    return test;
  }

  /** Another process on the same tables. */
  async restart(config?: string): Promise<void> {
    this.am = await TenantAlertmanager.open(await this.options(), this.signal);
    if (config !== undefined) await this.configure(config);
  }

  async configure(config: string): Promise<void> {
    const loaded = loadConfig(config);
    const templates = loadTemplates(new Map(), [], () => this.clock.nowMs());
    await this.am.setConfig({ config: loaded, templates });
  }

  async state(): Promise<StateRows> {
    const { tables } = this;
    const client: TableClient = {
      write: (...args) => tables.write(...args),
      query: (...args) => tables.query(...args),
      delete: (...args) => tables.delete(...args),
      compareAndSet: (...args) => this.compareAndSet(() => tables.compareAndSet(...args), args.at(-1) as AbortSignal),
      close: async () => {},
    };
    const period = {
      fromMs: Number.NEGATIVE_INFINITY,
      tables: { client, admin: tables, limits: tables.limits },
      tablePrefix: 'p_',
      tableMs: 86_400_000,
    };
    return new StateRows(await TenantTables.open(new Schema([period])), systemBytes);
  }

  async options(): Promise<TenantOptions> {
    return {
      tenant: 'team-a',
      state: await this.state(),
      clock: this.clock,
      random: () => 0.5,
      newId: () => `00000000-0000-4000-8000-${String(++this.#ids).padStart(12, '0')}`,
      limits: () => this.limits,
      externalUrl: 'http://alerts',
      senders: () => ({
        http: {
          send: async (request, signal) => {
            this.requests.push({ ...request, atMs: this.clock.nowMs() - START_MS });
            return this.answer(request, signal);
          },
        },
        mail: {
          send: async (server, mail) => {
            this.mails.push({ server, mail });
          },
        },
      }),
      events: {
        suppressed: (reason, count) => this.events.push(`suppressed ${reason} ${count}`),
        attempt: () => {},
        notification: () => {},
        failed: (_, reason, text, attempts) => this.events.push(`failed ${reason} after ${attempts}: ${text}`),
        repeated: () => this.events.push('repeated'),
        unclaimed: () => this.events.push('unclaimed'),
        groupRefused: () => this.events.push('group refused'),
      },
    };
  }

  /** Alerts that fire from now on, without an end. */
  fire(...labels: Record<string, string>[]): Promise<string[]> {
    const alerts = labels.map((own) =>
      given(own, { startsAtMs: this.clock.nowMs(), endsAtMs: this.clock.nowMs() + 86_400_000 }),
    );
    return this.am.put(alerts, true, this.signal);
  }

  resolve(...labels: Record<string, string>[]): Promise<string[]> {
    const alerts = labels.map((own) => given(own, { startsAtMs: START_MS - 1, endsAtMs: this.clock.nowMs() }));
    return this.am.put(alerts, true, this.signal);
  }

  /** Webhooks since the last call: `12s receiver: firing a, resolved b (reason)`. */
  told(): string[] {
    return this.requests.splice(0).map(({ body, atMs }) => {
      const message = JSON.parse(body!) as {
        receiver: string;
        notification_reason: string;
        alerts: { status: string; labels: Record<string, string> }[];
      };
      const alerts = message.alerts.map(({ status, labels }) => `${status} ${labels.alertname}`).join(', ');
      return `${atMs / 1000}s ${message.receiver}: ${alerts} (${message.notification_reason})`;
    });
  }
}

export function given(labels: Record<string, string>, more: Partial<GivenAlert> = {}): GivenAlert {
  return { labels: new Map(Object.entries(labels)), annotations: new Map(), generatorUrl: '', ...more };
}

export function ok(body = 'ok', headers: Record<string, string> = {}): Answer {
  return { status: 200, headers: new Map(Object.entries(headers)), body };
}
