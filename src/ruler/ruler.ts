import { Documents } from '../chunkstore/documents/documents.ts';
import { MEMBER_TIMING, MemberRows, type MemberTiming } from '../chunkstore/documents/member-rows.ts';
import { StateRows } from '../chunkstore/documents/state-rows.ts';
import { TenantTables } from '../chunkstore/documents/tables.ts';
import type { Schema } from '../chunkstore/schema.ts';
import type { SeriesBackend } from '../contract/push.ts';
import type { BatchRunner } from '../contract/query.ts';
import {
  type AlertTarget,
  type PostedAlert,
  RULES,
  type RuleFileProblem,
  type RuleGroupState,
  type TenantRules,
} from '../contract/rules.ts';
import type { Logger } from '../kit/observe/log.ts';
import { type Loop, type LoopState, Loops } from '../kit/service/loops.ts';
import { type Clock, timeout } from '../lib/clock.ts';
import { getOrMake } from '../lib/map.ts';
import type { RandomBytes } from '../lib/random.ts';
import { forEachAtOnce, Semaphore } from '../lib/semaphore.ts';
import { Relabelling } from '../limits/relabel.ts';
import { joinTenants } from '../model/tenants.ts';
import type { ParserOptions } from '../promql/parser/parser.ts';
import { GeneratorUrlTemplate } from '../template/generator-url.ts';
import { isActive } from './alert.ts';
import { alertsToSend } from './alert-sending.ts';
import { ALERT_STATE, AlertStateRow, readState, restoreKept } from './alert-state.ts';
import { AlertmanagerOwners } from './alertmanager-owners.ts';
import type { RulerConfig } from './config.ts';
import { type GroupHealth, GroupLoop, groupState } from './group-loop.ts';
import { GroupRun, type RuleSink, ruleIdentity } from './group-run.ts';
import type { RulerMetrics } from './metrics.ts';
import { Notifier } from './notifier.ts';
import { PushSink } from './push-sink.ts';
import { BatchedRuleQuery } from './rule-query.ts';
import { configuredGroups, LocalRules, type SourcedGroup } from './rule-source.ts';

/** Limits of a tenant that the ruler asks for. */
export interface RulerLimits {
  readonly rulerQueryOffsetMs: number;
  readonly rulerMinRuleEvaluationIntervalMs: number;
  readonly rulerExternalLabels: Readonly<Record<string, string>>;
  /** That of the process where the tenant has none. */
  readonly rulerExternalUrl: string;
  /** Go template of the addresses that alerts link to; empty: the graph page's. */
  readonly rulerAlertGeneratorUrlTemplate: string;
  readonly rulerAlertmanagerUrl: readonly string[];
  /** As it stands in the file. */
  readonly rulerAlertRelabelConfigs: unknown;
}

/** The ways to rulers that share the store. */
export interface RulerPeers {
  /** Where others ask this one. */
  readonly address: string;
  /** Groups that the ruler at an address evaluates. */
  rulesOf(address: string, tenant: string, signal: AbortSignal): Promise<readonly RuleGroupState[]>;
}

export interface RulerOptions {
  readonly config: RulerConfig;
  readonly parser: ParserOptions;
  readonly schema: Schema;
  readonly queries: BatchRunner;
  readonly push: SeriesBackend;
  readonly limits: (tenant: string) => Promise<RulerLimits>;
  /** The Alertmanager of this process. */
  readonly builtIn?: AlertTarget | undefined;
  /** The way to the Alertmanager of another process on the store, for a process without one. */
  readonly alertmanagerAt?: ((address: string) => AlertTarget) | undefined;
  /** Absent: of others' groups only their alerts are known. */
  readonly peers?: RulerPeers | undefined;
  readonly metrics: RulerMetrics;
  readonly log: Logger;
  readonly clock: Clock;
  readonly randomBytes: RandomBytes;
  /** How members that share a store watch each other; default: MEMBER_TIMING. */
  readonly memberTiming?: MemberTiming;
}

/** The kind of the rows of rulers. */
const RULERS = 'rulers';
/** Groups of a tenant that are evaluated at the same time. */
const GROUPS_AT_ONCE_MAX = 64;
const LOCAL_LOOK_MS = 5_000;
/** States of other rulers' groups that are read at the same time. */
const STATES_AT_ONCE = 16;
/** Other rulers have so long to tell of their groups. */
const ASKED_MS_MAX = 5_000;
/** For groups that are only looked at. */
const NOWHERE: RuleSink = { append: async () => [] };
const LIMITS_KEPT_MS = 10_000;
/** Looks after which every tenant's rules are read, whether they seem to have changed or not. */
const FULL_LOOKS = 10;
/** Least time that a query of a rule may take. */
const QUERY_TIMEOUT_MS_MIN = 10_000;

/** An alerting rule whose state an edit would not keep, and its active alerts. */
export interface ResetRule {
  readonly alert: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly active: number;
}

interface Settings {
  readonly limits: RulerLimits;
  readonly relabelling: Relabelling;
  readonly externalLabels: ReadonlyMap<string, string>;
  readonly externalUrl: string;
  readonly generatorUrl: GeneratorUrlTemplate | undefined;
  readonly untilMs: number;
}

interface TenantGroups {
  readonly loops: Map<string, GroupLoop>;
  /** Groups that other rulers evaluate, and their intervals. */
  others: readonly { readonly source: SourcedGroup; readonly intervalMs: number }[];
  readonly atOnce: Semaphore;
  readonly sink: PushSink;
  /** By the tenants that are asked. */
  readonly queries: Map<string, BatchedRuleQuery>;
  problems: readonly RuleFileProblem[];
  /** Groups that are configured, and not of local files. */
  configured: number;
  /** Its last change, so that the next one waits for it. */
  changing: Promise<void>;
}

/** Evaluates the rules of all tenants: those that are configured, and those of local files. */
export class Ruler {
  readonly #options: RulerOptions;
  readonly #documents: Documents;
  readonly #states: StateRows;
  readonly #local: LocalRules | undefined;
  readonly #notifier: Notifier;
  /** Alertmanagers of other processes; undefined: alerts go to the one of this process, or none is sought. */
  readonly #owners: AlertmanagerOwners | undefined;
  readonly #owner: string;
  /** Rulers that share the store; undefined: it is this process' own. */
  readonly #members: MemberRows | undefined;
  readonly #tenants = new Map<string, TenantGroups>();
  readonly #settings = new Map<string, Promise<Settings>>();
  /** Marks of tenants when their rules were read last. */
  readonly #marks = new Map<string, string>();
  readonly #stopping = new AbortController();
  /** Aborted when what is under way is to be cut short, too. */
  readonly #cut = new AbortController();
  readonly #endings = new Set<Promise<void>>();
  #running: Promise<unknown> = Promise.resolve();
  readonly #loops: Loops;
  readonly #looks: Loop;

  private constructor(options: RulerOptions, tables: TenantTables) {
    const { config, schema, clock, randomBytes, metrics, log, builtIn } = options;
    this.#options = options;
    this.#loops = new Loops(clock);
    this.#looks = this.#loops.add('rules-read', config.pollIntervalMs);
    this.#documents = new Documents(tables, clock, randomBytes);
    this.#states = new StateRows(tables, randomBytes);
    this.#local = config.localDirectory === '' ? undefined : new LocalRules(config.localDirectory, options.parser);
    this.#owner = Buffer.from(randomBytes(8)).toString('hex');
    const isShared = schema.periods.at(-1)!.tables.oneProcess !== true;
    if (isShared) {
      const self = { id: this.#owner, address: options.peers?.address ?? '' };
      this.#members = new MemberRows({ rows: this.#states, kind: RULERS, self, clock, timing: options.memberTiming });
    }
    const { alertmanagerAt: at, memberTiming: timing } = options;
    if (isShared && builtIn === undefined && at !== undefined) {
      this.#owners = new AlertmanagerOwners({ rows: this.#states, at, clock, timing });
    }
    this.#notifier = new Notifier({ config, builtIn: builtIn ?? this.#owners, metrics, log, clock });
  }

  static async open(options: RulerOptions): Promise<Ruler> {
    return new Ruler(options, await TenantTables.open(options.schema));
  }

  get documents(): Documents {
    return this.#documents;
  }

  /** Resolves when the rules that there are have been read; what cannot be read is tried again. */
  async start(): Promise<void> {
    await this.#beat();
    await this.#seeAlertmanagers();
    await this.#look(true);
    await this.#lookAtFiles();
    this.#running = Promise.all([
      this.#keepLooking(),
      this.#keepLookingAtFiles(),
      this.#keepBeating(),
      this.#keepSeeing(),
    ]);
  }

  async stop(signal: AbortSignal): Promise<void> {
    this.#stopping.abort(new Error('stopping'));
    const cut = () => this.#cut.abort(new Error('stopping'));
    signal.addEventListener('abort', cut, { once: true });
    if (signal.aborted) cut();
    await this.#running;
    const loops = [...this.#tenants.values()].flatMap(({ loops }) => [...loops.values()]);
    await Promise.all(loops.map((loop) => loop.stop()));
    await this.#members?.leave().catch(() => {});
    await Promise.all(this.#endings);
    await this.#notifier.stop(signal);
  }

  /** Loops of the ruler; the groups of all tenants are one of them. */
  get loopStates(): readonly LoopState[] {
    const groups = [...this.#tenants.values()].flatMap(({ loops }) => [...loops.values()].map(({ health }) => health));
    return groups.length === 0 ? this.#loops.states : [...this.#loops.states, groupsLoop(groups)];
  }

  /** Reads a tenant's rules again, as after a change. */
  async changed(tenant: string): Promise<void> {
    const groups = this.#of(tenant);
    const change = groups.changing.then(() => this.#apply(tenant, groups));
    groups.changing = change.catch(() => {});
    await change;
  }

  /** Groups that are evaluated here. */
  rules(tenant: string): TenantRules {
    const groups = this.#tenants.get(tenant);
    if (groups === undefined) return { groups: [], problems: [] };
    return { groups: sorted([...groups.loops.values()].map(({ state }) => state)), problems: groups.problems };
  }

  /** All groups of a tenant; those of rulers that cannot be asked with the alerts that these have kept, and no word of their evaluations. */
  async allRules(tenant: string, signal: AbortSignal): Promise<TenantRules> {
    const { groups: own, problems } = this.rules(tenant);
    const others = this.#tenants.get(tenant)?.others ?? [];
    if (others.length === 0) return { groups: own, problems };
    const states: RuleGroupState[] = [];
    const told = await this.#told(tenant, others, signal);
    await forEachAtOnce(others, STATES_AT_ONCE, async ({ source, intervalMs }) => {
      const state = told.get(keyOf(source));
      if (state?.evaluatedAtMs !== undefined) {
        states.push(state);
        return;
      }
      const key = { tenant, kind: ALERT_STATE, name: keyOf(source) };
      const { rules } = new GroupRun(source.group, NOWHERE);
      const hasAlerts = rules.some(({ rule }) => rule.kind === 'alert');
      const found = hasAlerts ? await readState(this.#states, key, signal) : undefined;
      if (found !== undefined) restoreKept(rules, found.kept);
      // a rule of whose alerts something is known was evaluated
      for (const run of rules) if (run.rule.kind === 'alert') run.evaluatedAtMs = found?.slotMs;
      states.push(groupState(source, intervalMs, rules, 0, found?.slotMs));
    });
    return { groups: sorted([...own, ...states]), problems };
  }

  /** Groups as the rulers tell that evaluate them. */
  async #told(
    tenant: string,
    others: TenantGroups['others'],
    signal: AbortSignal,
  ): Promise<Map<string, RuleGroupState>> {
    const { peers, clock } = this.#options;
    const told = new Map<string, RuleGroupState>();
    if (peers === undefined || this.#members === undefined) return told;
    const owners = others.map(({ source }) => this.#members!.ownerOf(tenant, keyOf(source)).address);
    const limit = timeout(clock, ASKED_MS_MAX);
    try {
      await forEachAtOnce([...new Set(owners)], STATES_AT_ONCE, async (address) => {
        if (address === '') return;
        const both = AbortSignal.any([signal, limit.signal]);
        // one that does not answer: what it has kept is shown
        const groups = await peers.rulesOf(address, tenant, both).catch(() => []);
        for (const group of groups) told.set(`${group.file};${group.name}`, group);
      });
    } finally {
      limit.cancel();
    }
    signal.throwIfAborted();
    return told;
  }

  /** Alerts that would begin anew where a group were put in place of the one of its name. */
  resetBy(tenant: string, source: SourcedGroup): readonly ResetRule[] {
    const loop = this.#tenants.get(tenant)?.loops.get(keyOf(source));
    if (loop === undefined) return [];
    const kept = source.group.rules.map(ruleIdentity);
    const reset: ResetRule[] = [];
    for (const { rule, alerts } of loop.run.rules) {
      const at = kept.indexOf(ruleIdentity(rule));
      if (at >= 0) kept.splice(at, 1);
      else if (rule.kind === 'alert') {
        const active = [...alerts.values()].filter(isActive).length;
        reset.push({ alert: rule.name, labels: Object.fromEntries(rule.labels), active });
      }
    }
    return reset;
  }

  #queriesOf({ queries }: TenantGroups, asked: string): BatchedRuleQuery {
    const { queries: runner, clock } = this.#options;
    return getOrMake(queries, asked, () => new BatchedRuleQuery(runner, asked, clock, this.#cut.signal));
  }

  #of(tenant: string): TenantGroups {
    const { push, clock } = this.#options;
    return getOrMake(this.#tenants, tenant, () => ({
      loops: new Map(),
      others: [],
      atOnce: new Semaphore(GROUPS_AT_ONCE_MAX),
      sink: new PushSink(push, tenant, clock, this.#cut.signal),
      queries: new Map(),
      problems: [],
      configured: 0,
      changing: Promise.resolve(),
    }));
  }

  async #keepLooking(): Promise<void> {
    const { clock, config } = this.#options;
    for (let looks = 1; ; looks++) {
      if (!(await this.#slept(clock, config.pollIntervalMs))) return;
      await this.#look(looks % FULL_LOOKS === 0);
    }
  }

  async #keepLookingAtFiles(): Promise<void> {
    if (this.#local === undefined) return;
    const loop = this.#loops.add('rule-files-read', LOCAL_LOOK_MS);
    while (await this.#slept(this.#options.clock, LOCAL_LOOK_MS)) await loop.run(() => this.#lookAtFiles(loop));
  }

  async #keepBeating(): Promise<void> {
    if (this.#members === undefined) return;
    const { beatMs } = this.#options.memberTiming ?? MEMBER_TIMING;
    const loop = this.#loops.add('rulers-seen', beatMs);
    while (await this.#slept(this.#options.clock, beatMs)) {
      if (await loop.run(() => this.#beat(loop)))
        for (const tenant of this.#tenants.keys()) await this.#tryChanged(tenant);
    }
  }

  /** @returns whether groups may have other owners now */
  async #beat(loop?: Loop): Promise<boolean> {
    try {
      return (await this.#members?.beat(this.#stopping.signal)) ?? false;
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return false;
      loop?.failed(thrown);
      this.#options.log.warn({ error: (thrown as Error).message }, 'other rulers cannot be seen');
      return false;
    }
  }

  async #keepSeeing(): Promise<void> {
    if (this.#owners === undefined) return;
    const { beatMs } = this.#options.memberTiming ?? MEMBER_TIMING;
    const loop = this.#loops.add('alertmanagers-seen', beatMs);
    while (await this.#slept(this.#options.clock, beatMs)) {
      // a tenant's new owner does not know the alerts of its rules
      await loop.run(async () => {
        if (await this.#seeAlertmanagers(loop)) await this.resend(loop);
      });
    }
  }

  /** @returns whether tenants' alerts may have other owners now */
  async #seeAlertmanagers(loop?: Loop): Promise<boolean> {
    try {
      return (await this.#owners?.look(this.#stopping.signal)) ?? false;
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return false;
      loop?.failed(thrown);
      this.#options.log.warn({ error: (thrown as Error).message }, 'Alertmanagers on the store cannot be seen');
      return false;
    }
  }

  async #slept(clock: Clock, ms: number): Promise<boolean> {
    await clock.sleep(ms, this.#stopping.signal).catch(() => {});
    return !this.#stopping.signal.aborted;
  }

  #look(all: boolean): Promise<void> {
    return this.#looks.run(() => this.#readChanged(all));
  }

  async #readChanged(all: boolean): Promise<void> {
    const { log } = this.#options;
    const { signal } = this.#stopping;
    try {
      const known = await this.#documents.tenants(RULES, signal);
      const names = new Set(known.map(({ tenant }) => tenant));
      const gone = [...this.#tenants].filter(([tenant, { configured }]) => configured > 0 && !names.has(tenant));
      for (const [tenant] of gone) this.#marks.delete(tenant);
      const changed = known.filter(({ tenant, mark }) => all || this.#marks.get(tenant) !== mark);
      for (const { tenant, mark } of [...changed, ...gone.map(([tenant]) => ({ tenant, mark: undefined }))]) {
        if (signal.aborted) return;
        await this.#tryChanged(tenant);
        if (mark !== undefined) this.#marks.set(tenant, mark);
      }
    } catch (thrown) {
      if (signal.aborted) return;
      this.#looks.failed(thrown);
      log.warn({ error: (thrown as Error).message }, 'rules cannot be read, they stay as they are');
    }
  }

  async #lookAtFiles(loop?: Loop): Promise<void> {
    if (this.#local === undefined) return;
    const { log, config } = this.#options;
    try {
      for (const tenant of await this.#local.refresh()) {
        for (const { file, error } of this.#local.of(tenant).problems) {
          log.error({ file, error }, 'a rule file is wrong, its rules stay as they were');
        }
        await this.#tryChanged(tenant);
      }
    } catch (thrown) {
      loop?.failed(thrown);
      const error = (thrown as Error).message;
      log.warn({ folder: config.localDirectory, error }, 'the folder of rule files cannot be read');
    }
  }

  async #tryChanged(tenant: string): Promise<void> {
    try {
      await this.changed(tenant);
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return;
      // read again with the next look
      this.#marks.delete(tenant);
      this.#options.log.warn({ user: tenant, error: (thrown as Error).message }, 'rules cannot be read');
    }
  }

  async #apply(tenant: string, groups: TenantGroups): Promise<void> {
    const { parser, metrics, log } = this.#options;
    const { signal } = this.#stopping;
    signal.throwIfAborted();
    const configured = await configuredGroups(this.#documents, tenant, parser, signal);
    const local = this.#local?.of(tenant) ?? { groups: [], problems: [] };
    const { limits } = await this.#settingsOf(tenant);
    groups.configured = configured.groups.length + configured.problems.length;
    groups.problems = [...local.problems, ...configured.problems];
    const all = new Map([...configured.groups, ...local.groups].map((each) => [keyOf(each), each]));
    const wanted = new Map([...all].filter(([key]) => this.#members?.owns(tenant, key) ?? true));
    const others = [...all].filter(([key]) => !wanted.has(key)).map(([, source]) => source);
    groups.others = others.map((source) => ({ source, intervalMs: this.#intervalOf(source, limits) }));
    for (const [key, loop] of groups.loops) {
      if (wanted.has(key)) continue;
      groups.loops.delete(key);
      await loop.stop();
      loop.forgetMetrics();
      // another ruler goes on with it
      if (all.has(key)) continue;
      // here, so that a group of the same name that comes next begins anew
      await loop.options.state?.remove().catch((thrown: Error) => {
        log.warn({ user: tenant, error: thrown.message }, 'the state of a group that is gone could not be removed');
      });
      this.#end(loop);
    }
    for (const [key, source] of wanted) {
      const before = groups.loops.get(key);
      const intervalMs = this.#intervalOf(source, limits);
      if (before !== undefined && before.options.intervalMs === intervalMs && isSame(before.options.source, source)) {
        continue;
      }
      await before?.stop();
      const loop = this.#loopOf(tenant, groups, source, intervalMs, before);
      groups.loops.set(key, loop);
      loop.start(before);
    }
    metrics.groups.set([...this.#tenants.values()].reduce((sum, { loops }) => sum + loops.size, 0));
  }

  #intervalOf({ group }: SourcedGroup, { rulerMinRuleEvaluationIntervalMs }: RulerLimits): number {
    return Math.max(group.intervalMs ?? this.#options.config.evaluationIntervalMs, rulerMinRuleEvaluationIntervalMs);
  }

  #loopOf(
    tenant: string,
    groups: TenantGroups,
    source: SourcedGroup,
    intervalMs: number,
    before: GroupLoop | undefined,
  ): GroupLoop {
    const { config, metrics, log, clock } = this.#options;
    const { sourceTenants, rules } = source.group;
    const asked = sourceTenants.length === 0 ? tenant : joinTenants(sourceTenants);
    const timeoutMs = Math.max(QUERY_TIMEOUT_MS_MIN, intervalMs);
    const key = { tenant, kind: ALERT_STATE, name: keyOf(source) };
    const hasAlerts = rules.some(({ kind }) => kind === 'alert');
    return new GroupLoop({
      tenant,
      source,
      intervalMs,
      query: this.#queriesOf(groups, asked).of(timeoutMs),
      sink: groups.sink,
      state: hasAlerts ? (before?.options.state ?? new AlertStateRow(this.#states, key, this.#owner)) : undefined,
      fences: this.#members !== undefined,
      settings: async () => {
        const { limits, externalLabels, externalUrl } = await this.#settingsOf(tenant);
        return { queryOffsetMs: limits.rulerQueryOffsetMs, externalLabels, externalUrl };
      },
      evaluated: (loop, slotMs) => this.#send(loop, slotMs),
      lost: (loop) => {
        if (groups.loops.get(keyOf(source)) === loop) groups.loops.delete(keyOf(source));
        loop.forgetMetrics();
        this.#marks.delete(tenant);
      },
      atOnce: groups.atOnce,
      toleranceMs: config.forOutageToleranceMs,
      graceMs: config.forGracePeriodMs,
      metrics,
      log,
      clock,
    });
  }

  /** Sends what fires, and what was resolved lately, again: whoever is to know of it may be another one by now. */
  async resend(round?: Loop): Promise<void> {
    for (const { loops } of [...this.#tenants.values()]) {
      for (const loop of [...loops.values()]) if (loop.options.state !== undefined) await this.#tryResend(loop, round);
    }
  }

  /** One group's failure keeps no alert of others; its next evaluation sends its own. */
  async #tryResend(loop: GroupLoop, round: Loop | undefined): Promise<void> {
    try {
      await loop.resend();
    } catch (thrown) {
      if (this.#stopping.signal.aborted) return;
      round?.failed(thrown);
      const { log } = this.#options;
      const error = (thrown as Error).message;
      log.warn({ tenant: loop.options.tenant, error }, 'alerts of a group cannot be sent again now');
    }
  }

  async #send(loop: GroupLoop, slotMs: number): Promise<void> {
    const { config } = this.#options;
    const { tenant, intervalMs } = loop.options;
    const { limits, relabelling, externalUrl, generatorUrl } = await this.#settingsOf(tenant);
    const alerts: PostedAlert[] = [];
    const externalLabels = limits.rulerExternalLabels;
    const { resendDelayMs } = config;
    const common = { tenant, slotMs, intervalMs, resendDelayMs, externalUrl, externalLabels, generatorUrl };
    for (const run of loop.run.rules) alerts.push(...alertsToSend(run, { ...common, relabelling }));
    const own = limits.rulerAlertmanagerUrl;
    const alertmanagers = own.length > 0 ? own : config.alertmanagerUrl;
    await this.#notifier.send(tenant, alerts, { alertmanagers });
  }

  /** Series of a group that is gone end two intervals later: until then it may have begun elsewhere, or under another name. */
  #end(loop: GroupLoop): void {
    const { clock, log } = this.#options;
    const { signal } = this.#stopping;
    const goneMs = clock.nowMs();
    const { tenant, intervalMs } = loop.options;
    const ending = (async () => {
      try {
        await clock.sleep(2 * intervalMs, signal);
        await loop.endSeries(goneMs);
      } catch (thrown) {
        if (signal.aborted) return;
        log.warn({ user: tenant, error: (thrown as Error).message }, 'a group that is gone could not be cleaned up');
      }
    })();
    this.#endings.add(ending);
    void ending.finally(() => this.#endings.delete(ending));
  }

  async #settingsOf(tenant: string): Promise<Settings> {
    const { clock } = this.#options;
    const known = await this.#settings.get(tenant)?.catch(() => undefined);
    if (known !== undefined && clock.monotonicMs() < known.untilMs) return known;
    const reading = this.#readSettings(tenant);
    this.#settings.set(tenant, reading);
    return reading;
  }

  async #readSettings(tenant: string): Promise<Settings> {
    const { clock, limits: limitsOf } = this.#options;
    const limits = await limitsOf(tenant);
    const template = limits.rulerAlertGeneratorUrlTemplate;
    return {
      limits,
      relabelling: Relabelling.parse(limits.rulerAlertRelabelConfigs),
      externalLabels: new Map(Object.entries(limits.rulerExternalLabels)),
      externalUrl: limits.rulerExternalUrl.replace(/\/+$/, ''),
      generatorUrl: template === '' ? undefined : GeneratorUrlTemplate.parse(template),
      untilMs: clock.monotonicMs() + LIMITS_KEPT_MS,
    };
  }
}

function keyOf({ file, group }: SourcedGroup): string {
  return `${file};${group.name}`;
}

/** Whether a group is to go on untouched. */
function isSame(a: SourcedGroup, b: SourcedGroup): boolean {
  return a === b || JSON.stringify(a, plain) === JSON.stringify(b, plain);
}

function plain(_: string, value: unknown): unknown {
  return value instanceof Map ? [...value] : value;
}

function order(a: string, b: string): number {
  return a < b ? -1 : a > b ? 1 : 0;
}

function sorted(groups: RuleGroupState[]): RuleGroupState[] {
  return groups.sort((a, b) => (a.file === b.file ? order(a.name, b.name) : order(a.file, b.file)));
}

/** All groups as one loop: the newest round of any, and the first failure; it is late where one of them is. */
function groupsLoop(groups: readonly GroupHealth[]): LoopState {
  const newest = groups.reduce((best, each) => ((each.evaluatedAtMs ?? 0) > (best.evaluatedAtMs ?? 0) ? each : best));
  const late = groups.filter((each) => each.late);
  const failed = groups.find(({ error }) => error !== undefined);
  const lateText = `${late.length} of ${groups.length} groups are late: ${late[0]?.group.slice(0, 200)}`;
  const failedText = failed === undefined ? undefined : `${failed.group.slice(0, 200)}: ${failed.error?.slice(0, 300)}`;
  return {
    name: 'rule-groups',
    intervalMs: groups.reduce((least, { intervalMs }) => Math.min(least, intervalMs), Number.POSITIVE_INFINITY),
    rounds: groups.reduce((sum, { iterations }) => sum + iterations, 0),
    failures: groups.reduce((sum, { failures }) => sum + failures, 0),
    lastStartMs: newest.evaluatedAtMs,
    lastEndMs: newest.evaluatedAtMs === undefined ? undefined : newest.evaluatedAtMs + newest.evaluationMs,
    lastTookMs: newest.evaluatedAtMs === undefined ? undefined : newest.evaluationMs,
    error: late.length > 0 ? lateText : failedText,
    late: late.length > 0,
  };
}
