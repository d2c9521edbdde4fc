// The state of rules, as whoever shows it asks for it, previews of rules, and alerts on their way to an Alertmanager.

/** The kind of the documents with tenants' rules. */
export const RULES = 'rules';

/** A group of rules that is evaluated. Times in Unix ms. */
export interface RuleGroupState {
  readonly name: string;
  /** The namespace, or the path of a local file. */
  readonly file: string;
  readonly intervalMs: number;
  readonly limit: number;
  readonly evaluationMs: number;
  /** Undefined: never yet. */
  readonly evaluatedAtMs: number | undefined;
  readonly rules: readonly RuleState[];
}

export interface RuleState {
  readonly kind: 'alert' | 'record';
  readonly name: string;
  /** In Prometheus' own spelling. */
  readonly query: string;
  /** name, value, … ascending by name, the group's beneath the rule's own. */
  readonly labels: readonly string[];
  /** name, value, … ascending by name; of alerting rules. */
  readonly annotations: readonly string[];
  readonly forMs: number;
  readonly keepFiringForMs: number;
  readonly health: 'unknown' | 'ok' | 'err';
  readonly lastError: string | undefined;
  readonly evaluationMs: number;
  readonly evaluatedAtMs: number | undefined;
  /** Active ones, pending or firing. */
  readonly alerts: readonly ActiveAlert[];
}

export interface ActiveAlert {
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  readonly state: 'pending' | 'firing';
  readonly activeAtMs: number;
  readonly keepFiringSinceMs: number | undefined;
  readonly value: number;
}

/** A file of rules that could not be read: what it had before stays in force. */
export interface RuleFileProblem {
  readonly file: string;
  readonly error: string;
}

export interface TenantRules {
  /** Ascending by file and name. */
  readonly groups: readonly RuleGroupState[];
  readonly problems: readonly RuleFileProblem[];
}

/** Takes alerts of a tenant's rules, as the v2 API of an Alertmanager takes them: the built-in Alertmanager does. */
export interface AlertTarget {
  /** Rejects where they were not taken: they come again with the next resend. */
  post(tenant: string, alerts: readonly PostedAlert[], signal: AbortSignal): Promise<void>;
}

export interface PostedAlert {
  /** name, value, … ascending by name. */
  readonly labels: readonly string[];
  readonly annotations: readonly string[];
  readonly startsAtMs: number;
  readonly endsAtMs: number;
  readonly generatorUrl: string;
}

/** Settings of a process and a tenant that rules are evaluated with. */
export interface RuleSettings {
  /** Interval of groups that say none, and the least one. */
  readonly evaluationIntervalMs: number;
  readonly intervalMsMin: number;
  readonly queryOffsetMs: number;
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly externalUrl: string;
  /** Rules of a group; 0: no limit. */
  readonly rulesMax: number;
}

/** Rules to be tried on stored data. */
export interface RulePreviewRequest {
  /** A group of rules in YAML, as the configuration API takes it. */
  readonly group: string;
  /** The namespace that the group is for: with its name it says at which times it is evaluated. */
  readonly namespace: string;
  readonly startMs: number;
  /** Inclusive. */
  readonly endMs: number;
  /** Whether the end of a range is taken where the whole has more evaluations than are made. */
  readonly isCutToFit?: boolean;
  /** Whether it begins with the alerts that the rules had, by the series of them. */
  readonly continues?: boolean;
  readonly settings: RuleSettings;
}

/** Answers of a group's rules, had they been evaluated in a range of time. Times in Unix ms. */
export interface RulePreview {
  readonly name: string;
  readonly intervalMs: number;
  /** The first evaluation and the last one; undefined: the range has none. */
  readonly firstMs: number | undefined;
  readonly lastMs: number | undefined;
  readonly evaluations: number;
  readonly rules: readonly PreviewedRule[];
}

export interface PreviewedRule {
  readonly kind: 'alert' | 'record';
  readonly name: string;
  /** In Prometheus' own spelling. */
  readonly query: string;
  /** Evaluations that failed, and why the last of them did. */
  readonly failures: number;
  readonly lastError: string | undefined;
  /** Samples and series that a recording rule would have written. */
  readonly samples: number;
  readonly series: number;
  /** Alerts by the order in which they first came. */
  readonly alerts: readonly PreviewedAlert[];
  /** Changes that are left out of `alerts`: there were too many. */
  readonly omittedChanges: number;
}

/** A label set that an alerting rule had alerts of. */
export interface PreviewedAlert {
  readonly labels: readonly string[];
  /** Its state before the first evaluation; absent: it was none. */
  readonly before?: { readonly state: AlertChange['state']; readonly activeAtMs: number };
  readonly changes: readonly AlertChange[];
}

export interface AlertChange {
  readonly timeMs: number;
  /** Inactive: it was resolved, or was pending and is gone. */
  readonly state: 'pending' | 'firing' | 'inactive';
  readonly value: number;
  /** name, value, … as they were expanded then; none where it is inactive. */
  readonly annotations: readonly string[];
}

/** A group and its unit tests. */
export interface RuleTestRequest {
  /** A group of rules in YAML, as the configuration API takes it. */
  readonly group: string;
  /** promtool's file of unit tests; `rule_files` is passed over. */
  readonly tests: string;
  /** Rules of a group; 0: no limit. */
  readonly rulesMax: number;
}

/** A unit test's outcome. */
export interface RuleTestVerdict {
  /** Empty where the file gives none. */
  readonly name: string;
  /** As promtool words them; none: all is as expected. */
  readonly failures: readonly string[];
}

/** Tries rules on a tenant's data, and by their unit tests. */
export interface RulePreviewer {
  /** @throws AppError */
  preview(tenant: string, request: RulePreviewRequest, signal: AbortSignal): Promise<RulePreview>;
  /** Runs unit tests over a group, on the samples of the tests alone. @throws AppError */
  test(tenant: string, request: RuleTestRequest, signal: AbortSignal): Promise<readonly RuleTestVerdict[]>;
}
