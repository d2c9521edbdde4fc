import { catalogue } from './errors.ts';

/** Errors of configuring rules; texts are those of Cortex and Mimir where they have some. */
export const rulerErrors = catalogue({
  ruleGroupUnreadable: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reason: string }) => `unable to decoded rule group: ${v.reason}`,
  },
  ruleGroupInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reasons: string }) => v.reasons,
  },
  ruleGroupTooLarge: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { bytes: number; limit: number }) =>
      `rule group of ${v.bytes} bytes: limit of ${v.limit} exceeded (rule_group_bytes_max): make several groups of it`,
  },
  rulesPerGroupLimit: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { limit: number; actual: number }) =>
      `per-user rules per rule group limit (limit: ${v.limit} actual: ${v.actual}) exceeded (ruler_max_rules_per_rule_group)`,
  },
  ruleGroupsLimit: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { limit: number; actual: number }) =>
      `per-user rule groups limit (limit: ${v.limit} actual: ${v.actual}) exceeded (ruler_max_rule_groups_per_tenant)`,
  },
  ruleIntervalTooShort: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { intervalMs: number; limitMs: number }) =>
      `the group's interval of ${v.intervalMs} ms is shorter than ${v.limitMs} ms (ruler_min_rule_evaluation_interval)`,
  },
  ruleSourceTenants: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { tenants: readonly string[] }) =>
      `source_tenants: rules that read from other tenants (${v.tenants.join(', ')}) can stand in local files only (-ruler.local-directory)`,
  },
  rulePreviewTooLong: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { actual: number; limit: number }) =>
      `the preview would take ${v.actual} evaluations, limit ${v.limit} (rule_preview_evaluations_max): try a shorter range or a longer interval`,
  },
  rulePreviewTooLarge: {
    http: 422,
    promType: 'execution',
    retry: false,
    text: (v: { limit: number }) =>
      `the rules gave more than ${v.limit} samples in the range (rule_preview_samples_max): try a shorter range or a longer interval`,
  },
  ruleTestInvalid: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { reason: string }) => `invalid unit tests: ${v.reason}`,
  },
  ruleTestTooLarge: {
    http: 400,
    promType: 'bad_data',
    retry: false,
    text: (v: { what: string; actual: number; limit: number; name: string }) =>
      `the unit tests take ${v.actual} ${v.what}, limit ${v.limit} (${v.name}): pallium rules test runs them without one`,
  },
  rulerStopping: {
    http: 503,
    promType: 'unavailable',
    retry: true,
    text: (_: Record<string, never>) => 'the ruler is stopping',
  },
});
