import { stringify } from 'yaml';
import { type Documents, shownVersion } from '../chunkstore/documents/documents.ts';
import type { StateRows } from '../chunkstore/documents/state-rows.ts';
import { type AlertmanagerBackend, type AlertmanagerMember, CONFIG_KIND } from '../contract/alertmanager.ts';
import type { ApiRequest, ApiResponse } from '../contract/api.ts';
import type { PostedAlert } from '../contract/rules.ts';
import { failureOf } from '../kit/http/failure.ts';
import { type LoopState, Loops } from '../kit/service/loops.ts';
import type { Clock, Timer } from '../lib/clock.ts';
import { Pacer } from '../lib/pacer.ts';
import type { Random } from '../lib/random.ts';
import { alertmanagerErrors, isElsewhere } from '../model/errors-alertmanager.ts';
import { ALERTS_KIND, AlertBook } from './alert-book.ts';
import { getAlertGroups, getAlerts, postAlerts } from './api/alerts.ts';
import { emptyAnswer, jsonAnswer, textAnswer, yamlAnswer } from './api/answer.ts';
import { BadRequest, Params } from './api/params.ts';
import { getNotifications, getRouting } from './api/routing.ts';
import { deleteSilence, getSilence, getSilences, postSilences } from './api/silences.ts';
import { postTrial } from './api/trials.ts';
import {
  type ConfigDocument,
  type ConfigInForce,
  checkedConfig,
  configDocumentText,
  DocumentError,
  parseConfigDocument,
} from './config/document.ts';
import { sortedLabels } from './label-set.ts';
import type { AlertmanagerLimits } from './limits.ts';
import { LOG_KIND, type LogKey } from './notification-log.ts';
import type { SuppressedReason } from './notifier.ts';
import type { FirewallRules } from './receivers/firewall.ts';
import type { Senders } from './receivers/notification.ts';
import type { Sharing } from './sharing.ts';
import { SILENCES_KIND, type SilenceBook } from './silence-book.ts';
import { TenantAlertmanager, type TenantOptions } from './tenant.ts';

/** Events of all tenants. */
export interface AlertmanagerEvents {
  suppressed(tenant: string, reason: SuppressedReason, count: number): void;
  attempt(tenant: string, integration: string, seconds: number, failed: boolean): void;
  notification(tenant: string, integration: string): void;
  failed(tenant: string, key: LogKey, reason: string, text: string, attempts: number): void;
  repeated(tenant: string, key: LogKey): void;
  unclaimed(tenant: string, key: LogKey, error: unknown): void;
  groupRefused(tenant: string): void;
  /** Alerts of the tenant's own rules. */
  alertsRefused(tenant: string, count: number, first: string): void;
  /** A configuration that is kept cannot be used: the one before stays. */
  configRefused(tenant: string, text: string): void;
  storeFailed(what: string, error: unknown): void;
  /** Another member tells the same address: neither reaches the other, and they take tenants from each other. */
  addressShared(address: string): void;
}

export interface AlertmanagersOptions {
  readonly documents: Documents;
  readonly state: StateRows;
  readonly clock: Clock;
  readonly random: Random;
  readonly newId: () => string;
  readonly limits: (tenant: string) => AlertmanagerLimits;
  /** The text of a configuration for tenants without one of their own. */
  readonly fallback: string | undefined;
  readonly externalUrl: string;
  readonly version: string;
  readonly pollIntervalMs: number;
  readonly senders: (rules: () => FirewallRules) => Senders;
  readonly events: AlertmanagerEvents;
  /** The other Alertmanagers on the same store; undefined: it is this process' own. */
  readonly sharing?: Sharing | undefined;
  /** Called when tenants may have other owners: what is not kept has to come again. */
  readonly ownersMoved?: () => void;
}

const NAME = '';
/** How long an answer holds the thread at a time. */
const sliceMs = 10;
const sweepIntervalMs = 60_000;
const tenantsMax = 100_000;

interface Entry {
  readonly am: TenantAlertmanager;
  /** As `KnownTenant`; undefined: it has never had a configuration of its own. */
  mark: string | undefined;
  /** The text of the configuration in force; undefined: the fallback, or none. */
  text: string | undefined;
  /** Changes under way: the tenant does not go to another member before they are done. */
  readonly changes: Set<Promise<unknown>>;
}

/** The Alertmanagers of all tenants, or of those that are this member's. */
export class Alertmanagers implements AlertmanagerBackend {
  readonly #options: AlertmanagersOptions;
  readonly #entries = new Map<string, Promise<Entry>>();
  /** Tenants that are being let go of. */
  readonly #leaving = new Map<string, Promise<void>>();
  readonly #stopping = new AbortController();
  readonly #startMs: number;
  #fallback: ConfigInForce | undefined;
  #timers: Timer[] = [];
  #polling: Promise<void> | undefined;
  #sweeping: Promise<void> | undefined;
  #beating: Promise<void> | undefined;
  readonly #loops: Loops;
  #isAddressShared = false;

  /** @throws DocumentError where the fallback is wrong */
  constructor(options: AlertmanagersOptions) {
    this.#options = options;
    this.#startMs = options.clock.nowMs();
    this.#loops = new Loops(options.clock);
    this.#fallback = this.#checkedFallback(options.fallback);
  }

  /** Puts another fallback in force for tenants without a configuration of their own. @throws DocumentError */
  async setFallback(text: string | undefined): Promise<void> {
    this.#fallback = this.#checkedFallback(text);
    for (const opening of this.#entries.values()) {
      const entry = await opening.catch(() => undefined);
      if (entry !== undefined && entry.text === undefined) await entry.am.setConfig(this.#fallback);
    }
  }

  #checkedFallback(text: string | undefined): ConfigInForce | undefined {
    const { clock } = this.#options;
    if (text === undefined) return undefined;
    return checkedConfig({ templates: new Map(), config: text }, () => clock.nowMs());
  }

  /** Tenants that have a configuration or state go on where the process before, or another one, left them. */
  async start(): Promise<void> {
    const { clock, pollIntervalMs, sharing } = this.#options;
    await sharing?.beat(this.#stopping.signal);
    // others see that it lives, however long it takes to open tenants
    if (sharing !== undefined) {
      const loop = this.#loops.add('alertmanagers-seen', sharing.beatMs);
      const beats = clock.every(sharing.beatMs, () => {
        this.#beating ??= loop
          .run(() => this.#beat(sharing))
          .catch((error) => this.#options.events.storeFailed('other Alertmanagers cannot be seen', error))
          .finally(() => {
            this.#beating = undefined;
          });
      });
      this.#timers.push(beats);
    }
    const polls = this.#loops.add('alertmanager-configs', pollIntervalMs);
    const sweeps = this.#loops.add('alertmanager-sweep', sweepIntervalMs);
    await polls.run(() => this.#poll());
    await this.#openKept();
    this.#timers.push(
      clock.every(pollIntervalMs, () => {
        this.#polling ??= polls
          .run(() => this.#poll())
          .catch((error) => this.#options.events.storeFailed('configurations cannot be read', error))
          .finally(() => {
            this.#polling = undefined;
          });
      }),
      clock.every(sweepIntervalMs, () => {
        this.#sweeping ??= sweeps
          .run(() => this.#sweep())
          .finally(() => {
            this.#sweeping = undefined;
          });
      }),
    );
  }

  async stop(): Promise<void> {
    for (const timer of this.#timers) timer.cancel();
    this.#stopping.abort(new Error('stopping'));
    await Promise.allSettled([this.#polling, this.#sweeping, this.#beating, ...this.#leaving.values()]);
    const entries = await Promise.allSettled(this.#entries.values());
    await Promise.allSettled(
      entries.map((entry) => (entry.status === 'fulfilled' ? entry.value.am.stop() : undefined)),
    );
    await this.#options.sharing?.leave().catch(() => {});
  }

  get loopStates(): readonly LoopState[] {
    return this.#loops.states;
  }

  /** Numbers for metrics: tenants, alerts, groups. */
  async counts(): Promise<{ readonly tenants: number; readonly alerts: number; readonly groups: number }> {
    const entries = await Promise.all([...this.#entries.values()].map((entry) => entry.catch(() => undefined)));
    const sum = (of: (am: TenantAlertmanager) => number) =>
      entries.reduce((total, entry) => total + (entry === undefined ? 0 : of(entry.am)), 0);
    return { tenants: entries.length, alerts: sum((am) => am.alertCount), groups: sum((am) => am.groupCount) };
  }

  /** Those that are right are taken also where others are not; that is told to the log, for whoever posts cannot mend it. */
  post(tenant: string, alerts: readonly PostedAlert[], signal: AbortSignal): Promise<void> {
    return this.#atOwner(
      tenant,
      () => this.#postHere(tenant, alerts, signal),
      (owner) => owner.post(tenant, alerts, signal),
      signal,
    );
  }

  async handle(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    if (request.path.startsWith('/multitenant_alertmanager/')) return this.#answered(request, signal);
    try {
      return await this.#atOwner(
        request.tenant,
        () => this.#answered(request, signal),
        (owner) => owner.handle(request, signal),
        signal,
      );
    } catch (thrown) {
      if (signal.aborted) throw thrown;
      return failed(request, thrown);
    }
  }

  /** This process as other members ask it. */
  get asMember(): AlertmanagerMember {
    return {
      post: async (tenant, alerts, signal) => {
        await this.#checkOwned(tenant);
        await this.#dropsWhatMoved(tenant, () => this.#postHere(tenant, alerts, signal));
      },
      handle: async (request, signal) => {
        await this.#checkOwned(request.tenant);
        return this.#dropsWhatMoved(request.tenant, () => this.#answered(request, signal));
      },
      release: async (tenant) => {
        const { sharing } = this.#options;
        if (sharing?.owns(tenant)) await this.#look(sharing);
        if (sharing?.owns(tenant)) throw alertmanagerErrors.tenantElsewhere({ tenant });
        await this.#drop(tenant);
      },
    };
  }

  async #atOwner<T>(
    tenant: string,
    here: () => Promise<T>,
    there: (owner: AlertmanagerMember) => Promise<T>,
    signal: AbortSignal,
  ): Promise<T> {
    const { sharing } = this.#options;
    if (sharing === undefined) return here();
    const moved = () => this.#look(sharing);
    return sharing.atOwner(tenant, () => this.#dropsWhatMoved(tenant, here), there, moved, signal);
  }

  /** @throws tenantElsewhere where another member owns the tenant */
  async #checkOwned(tenant: string): Promise<void> {
    const { sharing } = this.#options;
    if (sharing === undefined || sharing.owns(tenant)) return;
    await this.#look(sharing);
    if (!sharing.owns(tenant)) throw alertmanagerErrors.tenantElsewhere({ tenant });
  }

  /** Lets go of the tenant where another member took it meanwhile. */
  async #dropsWhatMoved<T>(tenant: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work();
    } catch (thrown) {
      if (isElsewhere(thrown)) await this.#drop(tenant);
      throw thrown;
    }
  }

  async #postHere(tenant: string, alerts: readonly PostedAlert[], signal: AbortSignal): Promise<void> {
    const given = alerts.map(({ labels, annotations, ...rest }) => ({
      ...rest,
      labels: pairsOf(labels),
      annotations: pairsOf(annotations),
    }));
    const problems = await this.#change(tenant, (am) => am.put(given, false, signal));
    if (problems.length > 0) this.#options.events.alertsRefused(tenant, problems.length, problems[0]!);
  }

  /** @throws tenantElsewhere */
  async #answered(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    try {
      return await this.#answer(request, signal);
    } catch (thrown) {
      if (signal.aborted || isElsewhere(thrown)) throw thrown;
      return failed(request, thrown);
    }
  }

  /** Changes a tenant that does not go to another member meanwhile. @throws tenantElsewhere */
  async #change<T>(tenant: string, change: (am: TenantAlertmanager) => Promise<T>): Promise<T> {
    const opening = this.#entry(tenant);
    const { am, changes } = await opening;
    if (this.#entries.get(tenant) !== opening) throw alertmanagerErrors.tenantElsewhere({ tenant });
    const changing = change(am);
    changes.add(changing);
    try {
      return await changing;
    } finally {
      changes.delete(changing);
    }
  }

  async #answer(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const { tenant, method, path } = request;
    if (path === '/multitenant_alertmanager/configs') return yamlAnswer(await this.#allConfigs(signal));
    if (path === '/multitenant_alertmanager/status') return jsonAnswer(await this.#processStatus());
    if (path === '/multitenant_alertmanager/ring') return jsonAnswer(this.#ring());
    if (path === '/config/v1/alerts') return this.#configApi(request, signal);
    if (/^\/config\/v1\/alerts\/versions(\/|$)/.test(path)) return this.#versionsApi(request, signal);
    const { am } = await this.#entry(tenant);
    const nowMs = this.#options.clock.nowMs();
    if (path === '/config/v1/alerts/routes') return getRouting(am);
    if (path === '/config/v1/alerts/notifications') return getNotifications(am);
    if (path.startsWith('/config/v1/alerts/')) {
      return postTrial(am, request, (given) => this.#tried(tenant, given), nowMs, signal);
    }
    const isGet = method === 'GET' || method === 'HEAD';
    const pacer = new Pacer(this.#options.clock, { sliceMs, signal });
    switch (path) {
      case '/api/v2/status':
        return jsonAnswer(this.#status(am));
      case '/api/v2/receivers':
        return getReceivers(am, request);
      case '/api/v2/alerts':
        if (isGet) return getAlerts(am, request, pacer);
        return this.#change(tenant, (now) => postAlerts(now, request, pacer, signal));
      case '/api/v2/alerts/groups':
        return getAlertGroups(am, request, pacer);
      case '/api/v2/silences':
        if (isGet) return getSilences(am.silences, request, nowMs);
        return this.#silence(tenant, (silences) => postSilences(silences, request, nowMs, signal), signal);
    }
    const id = path.slice('/api/v2/silence/'.length);
    if (isGet) return getSilence(am.silences, id, nowMs);
    return this.#silence(tenant, (silences) => deleteSilence(silences, id, nowMs, signal), signal);
  }

  #silence<T>(tenant: string, change: (silences: SilenceBook) => Promise<T>, signal: AbortSignal): Promise<T> {
    return this.#change(tenant, async (am) => {
      await am.checkHeld(signal);
      return change(am.silences);
    });
  }

  /** A configuration that is tried: as a text in the form of the API. @throws DocumentError */
  #tried(tenant: string, given: unknown): ConfigInForce {
    const { limits, clock } = this.#options;
    const text = typeof given === 'string' ? given : JSON.stringify(given);
    return checkedConfig(parseConfigDocument(text, limits(tenant)), () => clock.nowMs());
  }

  #status(am: TenantAlertmanager): object {
    const { version, sharing } = this.#options;
    const peers = sharing?.live.map(({ id, address }) => ({ name: id, address })) ?? [];
    return {
      cluster:
        sharing === undefined ? { peers, status: 'disabled' } : { name: sharing.self.id, peers, status: 'ready' },
      config: { original: am.inForce?.config.shown() ?? '' },
      uptime: new Date(this.#startMs).toISOString(),
      versionInfo: {
        branch: '',
        buildDate: '',
        buildUser: '',
        goVersion: '',
        revision: '',
        version: `pallium ${version}`,
      },
    };
  }

  async #configApi(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const { documents } = this.#options;
    const { tenant, method, user = '' } = request;
    const key = { tenant, kind: CONFIG_KIND, name: NAME };
    switch (method) {
      case 'GET':
      case 'HEAD': {
        const found = await documents.get(key, signal);
        return found === undefined
          ? textAnswer('alertmanager storage object not found', 404)
          : yamlAnswer(new TextDecoder().decode(found.content));
      }
      case 'POST': {
        await this.#put(request, bodyText(request), signal, expectedVersion(request));
        return emptyAnswer(201);
      }
      default:
        await documents.delete(key, { user }, signal);
        await this.#reload(tenant);
        return emptyAnswer(200);
    }
  }

  /** Checks a configuration and puts it in force. @throws DocumentError */
  async #put({ tenant, user = '' }: ApiRequest, text: string, signal: AbortSignal, expected?: number): Promise<void> {
    const { documents, limits, clock } = this.#options;
    const document = parseConfigDocument(text, limits(tenant));
    checkedConfig(document, () => clock.nowMs());
    const key = { tenant, kind: CONFIG_KIND, name: NAME };
    const change = { user, ...(expected !== undefined && { expected }) };
    await documents.put(key, Buffer.from(configDocumentText(document)), change, signal);
    await this.#reload(tenant);
  }

  /** `…/versions`, `…/versions/NUMBER`, and `…/versions/NUMBER/restore`, by which a version is put again. */
  async #versionsApi(request: ApiRequest, signal: AbortSignal): Promise<ApiResponse> {
    const { documents } = this.#options;
    const { tenant, path } = request;
    const key = { tenant, kind: CONFIG_KIND, name: NAME };
    const [number, action] = path.split('/').slice(5);
    if (number === undefined) {
      const versions = await documents.versions(key, signal);
      return jsonAnswer({ status: 'success', data: versions.map(shownVersion).reverse() });
    }
    const found = /^\d{1,15}$/.test(number) ? await documents.contentOf(key, Number(number), signal) : undefined;
    if (found === undefined) return textAnswer(`there is no version ${number.slice(0, 20)}`, 404);
    const text = new TextDecoder().decode(found);
    if (action === undefined) return yamlAnswer(text);
    await this.#put(request, text, signal);
    return emptyAnswer(201);
  }

  async #processStatus(): Promise<object> {
    const { version } = this.#options;
    const data = { version, uptime: new Date(this.#startMs).toISOString(), ...(await this.counts()) };
    return { status: 'success', data };
  }

  /** Names of tenants and their configurations, without secrets. */
  async #allConfigs(signal: AbortSignal): Promise<string> {
    const { documents } = this.#options;
    const all: Record<string, string> = {};
    for (const { tenant } of await documents.tenants(CONFIG_KIND, signal)) {
      if (this.#options.sharing?.owns(tenant) === false) {
        const found = await documents.get({ tenant, kind: CONFIG_KIND, name: NAME }, signal);
        const text = found === undefined ? undefined : new TextDecoder().decode(found.content);
        const inForce = text === undefined ? undefined : this.#keptIfRight(tenant, text);
        if (inForce !== undefined) all[tenant] = inForce.config.shown();
        continue;
      }
      const { am, text } = await this.#entry(tenant);
      if (text !== undefined && am.inForce !== undefined) all[tenant] = am.inForce.config.shown();
    }
    return stringify(all, { lineWidth: 0 });
  }

  /** Members that share the store: that of a tenant is the one whose id `ownerOf` gives. */
  #ring(): object {
    const { sharing } = this.#options;
    const members = sharing?.live ?? [];
    return { status: 'success', data: { self: sharing?.self.id, members } };
  }

  async #beat(sharing: Sharing): Promise<void> {
    const { hasChanged, wasAway } = await sharing.beat(this.#stopping.signal);
    const { isAddressShared } = sharing;
    if (isAddressShared && !this.#isAddressShared) this.#options.events.addressShared(sharing.self.address);
    this.#isAddressShared = isAddressShared;
    // others may have held them meanwhile
    if (wasAway) await Promise.all([...this.#entries.keys()].map((tenant) => this.#drop(tenant)));
    if (hasChanged || wasAway) await this.#settle(sharing);
  }

  async #look(sharing: Sharing): Promise<void> {
    if (await sharing.look(this.#stopping.signal)) await this.#settle(sharing);
  }

  /** Lets go of what others own, and opens what is this member's by now. */
  async #settle(sharing: Sharing): Promise<void> {
    const lost = [...this.#entries.keys()].filter((tenant) => !sharing.owns(tenant));
    await Promise.all(lost.map((tenant) => this.#drop(tenant)));
    this.#options.ownersMoved?.();
    // whoever asks meanwhile does not wait for all of them
    void this.#openKept().catch((error) => this.#options.events.storeFailed('tenants cannot be taken over', error));
  }

  /** Opens tenants that have state. */
  async #openKept(): Promise<void> {
    const { state, sharing, events } = this.#options;
    const { signal } = this.#stopping;
    for (const kind of [ALERTS_KIND, LOG_KIND, SILENCES_KIND]) {
      for (const tenant of await state.tenants(kind, signal)) {
        if (sharing?.owns(tenant) === false) continue;
        if (sharing === undefined) await this.#entry(tenant);
        // another try comes with the next poll, or the next request
        else await this.#entry(tenant).catch((error) => events.storeFailed(`${tenant} cannot be taken over`, error));
      }
    }
  }

  /** Lets go of a tenant: what is under way is done first, and notifications are cut short. */
  #drop(tenant: string): Promise<void> {
    const opening = this.#entries.get(tenant);
    if (opening === undefined) return this.#leaving.get(tenant) ?? Promise.resolve();
    this.#entries.delete(tenant);
    const leaving = (async () => {
      const entry = await opening.catch(() => undefined);
      await entry?.am.stop();
      await Promise.allSettled(entry?.changes ?? []);
    })().finally(() => {
      if (this.#leaving.get(tenant) === leaving) this.#leaving.delete(tenant);
    });
    this.#leaving.set(tenant, leaving);
    return leaving;
  }

  #entry(tenant: string): Promise<Entry> {
    const known = this.#entries.get(tenant);
    if (known !== undefined) return known;
    if (this.#entries.size >= tenantsMax) throw new BadRequest(`limit of ${tenantsMax} tenants exceeded`);
    const made = this.#open(tenant);
    this.#entries.set(tenant, made);
    // another try comes with the next request
    made.catch(() => {
      if (this.#entries.get(tenant) === made) this.#entries.delete(tenant);
    });
    return made;
  }

  async #open(tenant: string): Promise<Entry> {
    const { events, limits, sharing, ...options } = this.#options;
    await this.#leaving.get(tenant);
    if (sharing !== undefined) {
      const { signal } = this.#stopping;
      const holder = await AlertBook.holderOf(tenant, options.state, signal);
      if (holder !== undefined) await sharing.release(tenant, holder, signal);
    }
    const own: TenantOptions = {
      ...options,
      tenant,
      holder: sharing?.self.id,
      limits: () => limits(tenant),
      events: {
        suppressed: (reason, count) => events.suppressed(tenant, reason, count),
        attempt: (integration, seconds, failed) => events.attempt(tenant, integration, seconds, failed),
        notification: (integration) => events.notification(tenant, integration),
        failed: (key, reason, text, attempts) => events.failed(tenant, key, reason, text, attempts),
        repeated: (key) => events.repeated(tenant, key),
        unclaimed: (key, error) => events.unclaimed(tenant, key, error),
        groupRefused: () => events.groupRefused(tenant),
      },
    };
    const am = await TenantAlertmanager.open(own, this.#stopping.signal);
    const entry: Entry = { am, mark: undefined, text: undefined, changes: new Set() };
    await this.#configure(tenant, entry, true);
    return entry;
  }

  /** Looks at the configuration that is kept, and puts it in force where it is another one. */
  async #configure(tenant: string, entry: Entry, isFirst: boolean): Promise<void> {
    const { documents } = this.#options;
    const found = await documents.get({ tenant, kind: CONFIG_KIND, name: NAME }, this.#stopping.signal);
    const text = found === undefined ? undefined : new TextDecoder().decode(found.content);
    if (!isFirst && text === entry.text) return;
    let inForce = this.#fallback;
    if (text !== undefined) {
      const kept = this.#keptIfRight(tenant, text);
      if (kept === undefined && !isFirst) return;
      inForce = kept ?? inForce;
    }
    entry.text = text;
    await entry.am.setConfig(inForce);
  }

  /** A configuration that is kept; undefined: it is wrong, and that is told. */
  #keptIfRight(tenant: string, text: string): ConfigInForce | undefined {
    const { limits, clock, events } = this.#options;
    try {
      const document: ConfigDocument = parseConfigDocument(text, { ...limits(tenant), configBytesMax: 0 });
      return checkedConfig(document, () => clock.nowMs());
    } catch (thrown) {
      if (!(thrown instanceof DocumentError)) throw thrown;
      events.configRefused(tenant, thrown.message);
      return undefined;
    }
  }

  async #reload(tenant: string): Promise<void> {
    await this.#configure(tenant, await this.#entry(tenant), false);
  }

  async #poll(): Promise<void> {
    const { documents, sharing } = this.#options;
    for (const { tenant, mark } of await documents.tenants(CONFIG_KIND, this.#stopping.signal)) {
      if (sharing?.owns(tenant) === false) continue;
      const entry = await this.#entry(tenant).catch((thrown) => {
        // the one who held it goes on for a moment
        if (!isElsewhere(thrown)) throw thrown;
      });
      if (entry === undefined || entry.mark === mark) continue;
      await this.#configure(tenant, entry, false);
      entry.mark = mark;
    }
  }

  async #sweep(): Promise<void> {
    for (const [tenant, entry] of this.#entries) {
      try {
        await this.#dropsWhatMoved(tenant, async () => (await entry).am.sweep(this.#stopping.signal));
      } catch (error) {
        if (!isElsewhere(error)) this.#options.events.storeFailed('state cannot be swept', error);
      }
      if (this.#stopping.signal.aborted) return;
    }
  }
}

function failed({ path }: ApiRequest, thrown: unknown): ApiResponse {
  if (thrown instanceof BadRequest) return jsonAnswer(thrown.message, 400);
  if (thrown instanceof DocumentError) return textAnswer(thrown.message, 400);
  const { status, text } = failureOf(thrown);
  return path.startsWith('/api/v2/') ? jsonAnswer(text, status) : textAnswer(text, status);
}

function getReceivers(am: TenantAlertmanager, request: ApiRequest): ApiResponse {
  const isWanted = new Params(request).receiverLabels();
  const receivers = [...(am.inForce?.config.receivers.values() ?? [])].filter(({ labels }) => isWanted(labels));
  return jsonAnswer(receivers.map(({ name, labels }) => ({ labels: Object.fromEntries(sortedLabels(labels)), name })));
}

function pairsOf(flat: readonly string[]): Map<string, string> {
  const pairs = new Map<string, string>();
  for (let i = 0; i < flat.length; i += 2) pairs.set(flat[i]!, flat[i + 1]!);
  return pairs;
}

/** The version that a change replaces, 0: there is none; undefined: whatever is there. */
function expectedVersion(request: ApiRequest): number | undefined {
  const text = new Params(request).text('version');
  if (text === undefined) return undefined;
  if (!/^\d{1,15}$/.test(text)) throw new BadRequest('version: a number is wanted, 0 where there is no configuration');
  return Number(text);
}

/** @throws DocumentError */
function bodyText({ body }: ApiRequest): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(body ?? new Uint8Array(0));
  } catch {
    throw new DocumentError('error reading Alertmanager config: it is no UTF-8');
  }
}
