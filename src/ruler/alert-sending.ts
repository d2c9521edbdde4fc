import type { PostedAlert } from '../contract/rules.ts';
import type { Relabelling } from '../limits/relabel.ts';
import { Labels } from '../model/labels.ts';
import { ANONYMOUS_TENANT } from '../model/tenant.ts';
import { escapeQuery } from '../template/builtins.ts';
import { bytesOf } from '../template/bytes.ts';
import type { GeneratorUrlTemplate } from '../template/generator-url.ts';
import { TemplateError } from '../template/parser.ts';
import type { Alert } from './alert.ts';
import type { RuleRun } from './group-run.ts';

export interface SendingOptions {
  readonly tenant: string;
  readonly slotMs: number;
  readonly intervalMs: number;
  readonly resendDelayMs: number;
  /** Without a slash at its end. */
  readonly externalUrl: string;
  readonly externalLabels: Readonly<Record<string, string>>;
  readonly relabelling: Relabelling;
  /** Absent: alerts link to the graph page. */
  readonly generatorUrl?: GeneratorUrlTemplate | undefined;
}

/** Alerts of a rule that are to be sent after an evaluation; they count as sent from here on. */
export function alertsToSend(run: RuleRun, options: SendingOptions): PostedAlert[] {
  const { slotMs, resendDelayMs } = options;
  const due: PostedAlert[] = [];
  let url: string | undefined;
  for (const [key, alert] of run.alerts) {
    const sentMs = run.sent.get(key) ?? Number.NEGATIVE_INFINITY;
    if (!isDue(alert, sentMs, slotMs, resendDelayMs)) continue;
    run.sent.set(key, slotMs);
    url ??= generatorUrlOf(run.query, options);
    const posted = postedAlert(alert, url, options);
    if (posted !== undefined) due.push(posted);
  }
  return due;
}

function isDue(alert: Alert, sentMs: number, slotMs: number, resendDelayMs: number): boolean {
  if (alert.state === 'pending') return false;
  if (alert.resolvedAtMs !== undefined && alert.resolvedAtMs > sentMs) return true;
  return sentMs + resendDelayMs < slotMs;
}

/** A template that fails leaves the graph page. */
function generatorUrlOf(expr: string, { tenant, externalUrl, generatorUrl }: SendingOptions): string {
  try {
    if (generatorUrl !== undefined) return generatorUrl.url(externalUrl, expr);
  } catch (thrown) {
    if (!(thrown instanceof TemplateError)) throw thrown;
  }
  const ofTenant = tenant === ANONYMOUS_TENANT ? '' : `&tenant=${escapeQuery(bytesOf(tenant))}`;
  return `${externalUrl}/graph?g0.expr=${escapeQuery(bytesOf(expr))}&g0.tab=1${ofTenant}`;
}

/** Undefined where relabelling drops it. */
function postedAlert(alert: Alert, generatorUrl: string, options: SendingOptions): PostedAlert | undefined {
  const { slotMs, intervalMs, resendDelayMs, externalLabels, relabelling } = options;
  const withExternal = Labels.fromEntries([...Object.entries(externalLabels), ...alert.labels]);
  const labels = relabelling.apply(withExternal);
  if (labels === undefined) return undefined;
  return {
    labels: labels.pairs,
    annotations: alert.annotations,
    startsAtMs: alert.firedAtMs!,
    endsAtMs: alert.resolvedAtMs ?? slotMs + 4 * Math.max(intervalMs, resendDelayMs),
    generatorUrl,
  };
}
