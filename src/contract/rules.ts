// The state of rules, as whoever shows it asks for it, and alerts on their way to an Alertmanager.

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
