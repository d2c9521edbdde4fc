import type { ApiResponse } from '../contract/api.ts';
import type { PreviewedAlert, PreviewedRule } from '../contract/rules.ts';
import { formatExponent } from '../lib/go-float.ts';
import { checkLength, oldestOf } from '../limits/allowed-past.ts';
import type { ApiJsonWriter } from '../wire/api-json.ts';
import { successInTurns } from './answer.ts';
import type { Call } from './call.ts';
import { ApiError } from './error.ts';
import { recordOf } from './rules.ts';
import { engineMs, isBefore } from './time.ts';

/** `/api/v1/rule_preview`: the states that alerts of a group of rules would have had in a range of time, on stored data. */
export async function rulePreview(call: Call): Promise<ApiResponse> {
  const { params, request, sources, limits, signal } = call;
  const { previewer } = sources;
  if (previewer === undefined || request.rules === undefined) throw ApiError.disabled('previews of rules');
  const group = params.get('group');
  if (group === '') throw ApiError.invalidParam('group', 'a group of rules in YAML is wanted');
  const start = params.time('start');
  const end = params.time('end');
  if (isBefore(end, start)) throw ApiError.invalidParam('end', 'end timestamp must not be before start time');
  const endMs = engineMs(end);
  const startMs = Math.max(engineMs(start), oldestOf(limits, sources.clock.nowMs()));
  checkLength(limits, endMs - startMs);
  const isCutToFit = params.get('fit') === 'true';
  const continues = params.get('continue') === 'true';
  const range = { startMs, endMs, isCutToFit, continues };
  const asked = { group, namespace: params.get('namespace'), ...range, settings: request.rules };
  const { rules, name, intervalMs, evaluations, firstMs, lastMs } = await previewer.preview(
    request.tenant,
    asked,
    signal,
  );
  return successInTurns(call, {}, function* (out) {
    out.raw('{"group":');
    out.json(name);
    out.raw(`,"interval":${intervalMs / 1000},"evaluations":${evaluations}`);
    if (firstMs !== undefined) out.raw(`,"first":${firstMs / 1000},"last":${lastMs! / 1000}`);
    out.raw(',"rules":[');
    for (const [i, rule] of rules.entries()) {
      if (i > 0) out.raw(',');
      yield* writeRule(out, rule);
    }
    out.raw(']}');
  });
}

/** Yields behind each alert. */
function* writeRule(out: ApiJsonWriter, rule: PreviewedRule): Generator<undefined> {
  const { kind, name, query, failures, lastError, samples, series, alerts, omittedChanges } = rule;
  const about = { name, query, failures, ...(lastError === undefined ? {} : { lastError }) };
  if (kind === 'record') {
    out.json({ type: 'recording', ...about, series, samples });
    return;
  }
  out.raw(
    JSON.stringify({ type: 'alerting', ...about, omittedChanges })
      .slice(0, -1)
      .toWellFormed(),
  );
  out.raw(',"alerts":[');
  for (const [i, alert] of alerts.entries()) {
    if (i > 0) out.raw(',');
    out.json(shownAlert(alert));
    yield;
  }
  out.raw(']}');
}

function shownAlert({ labels, before, changes }: PreviewedAlert): object {
  return {
    labels: recordOf(labels),
    ...(before && { before: { state: before.state, activeAt: before.activeAtMs / 1000 } }),
    changes: changes.map(({ timeMs, state, value, annotations }) => ({
      time: timeMs / 1000,
      state,
      ...(state === 'inactive' ? {} : { value: formatExponent(value), annotations: recordOf(annotations) }),
    })),
  };
}
