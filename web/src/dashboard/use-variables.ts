import { keepPreviousData, type QueryClient, useQuery, useQueryClient } from '@tanstack/react-query';
import { useMemo } from 'react';
import { useSearch } from 'wouter/use-browser-location';
import type { ListVariable, Variable } from '../../../src/contract/dashboard.ts';
import { fetchData } from '../api/http.ts';
import { printSeries } from '../model/labels.ts';
import { useScope } from '../scope.tsx';
import type { Choices } from './repeats.ts';
import {
  chosenValue,
  interpolated,
  type Option,
  offered,
  staticOptions,
  type Value,
  type Values,
} from './variables.ts';

/** A variable with what can be chosen for it. */
export interface ShownVariable {
  readonly variable: Variable;
  readonly options: readonly Option[];
  readonly chosen: readonly string[];
  /** Its options could not be had. */
  readonly problem: string | undefined;
}

export interface Variables {
  readonly shown: readonly ShownVariable[];
  readonly values: Values;
  /** Values that each list offers. */
  readonly choices: Choices;
}

const OPTIONS_MAX = 2_000;
/** Times of questions for options, so that they are asked anew once in this while. */
const ROUND_MS = 300_000;

/** Variables of a dashboard, chosen in the address (`var-job=shop`); undefined until all are known. */
export function useVariables(variables: readonly Variable[]): Variables | undefined {
  const { tenant, rangeMs, endMs, round } = useScope();
  const client = useQueryClient();
  const search = useSearch();
  const chosen = useMemo(() => {
    const params = new URLSearchParams(search);
    return variables.map(({ spec: { name } }) => params.getAll(`var-${name}`));
  }, [search, variables]);
  const { data } = useQuery({
    queryKey: ['variables', tenant, variables, chosen, rangeMs, endMs, round],
    placeholderData: keepPreviousData,
    queryFn: async ({ signal }): Promise<Variables> => {
      const end = endMs ?? Math.ceil(Date.now() / ROUND_MS) * ROUND_MS;
      const asking = { client, tenant, startMs: end - Math.max(rangeMs, ROUND_MS), endMs: end, signal };
      const values = new Map<string, Value>();
      const shown: ShownVariable[] = [];
      // one after the other: a variable's question may have those before it
      for (const [i, variable] of variables.entries()) {
        let options: readonly Option[] = [];
        let problem: string | undefined;
        if (variable.kind === 'ListVariable') {
          try {
            options = await optionsOf(variable, values, asking);
          } catch (thrown) {
            if (signal.aborted) throw thrown;
            problem = thrown instanceof Error ? thrown.message : String(thrown);
          }
        }
        const value = chosenValue(
          variable,
          options.map((option) => option.value),
          chosen[i]!,
        );
        values.set(variable.spec.name, value);
        shown.push({ variable, options: options.slice(0, OPTIONS_MAX), chosen: chosen[i]!, problem });
      }
      const choices = new Map(
        shown.map(({ variable, options }) => [variable.spec.name, options.map((option) => option.value)]),
      );
      return { shown, values, choices };
    },
  });
  return variables.length === 0 ? NONE : data;
}

const NONE: Variables = { shown: [], values: new Map(), choices: new Map() };

interface Asking {
  readonly client: QueryClient;
  readonly tenant: string;
  readonly startMs: number;
  readonly endMs: number;
  readonly signal: AbortSignal;
}

async function optionsOf(variable: ListVariable, values: Values, asking: Asking): Promise<readonly Option[]> {
  const { plugin } = variable.spec;
  if (plugin.kind === 'StaticListVariable') return staticOptions(variable);
  const found = await foundBy(plugin.kind, plugin.spec ?? {}, values, asking);
  return offered(variable, found).map((value) => ({ label: value, value }));
}

async function foundBy(
  kind: string,
  spec: Readonly<Record<string, unknown>>,
  values: Values,
  asking: Asking,
): Promise<readonly string[]> {
  const { startMs, endMs } = asking;
  const filled = (text: unknown) => (typeof text === 'string' ? interpolated(text, values) : '');
  const matchers = Array.isArray(spec.matchers) ? spec.matchers.slice(0, 20).map(filled) : [];
  const range: [string, string][] = [
    ['start', String(startMs / 1000)],
    ['end', String(endMs / 1000)],
  ];
  const params = new URLSearchParams([...matchers.map((matcher) => ['match[]', matcher]), ...range]);
  switch (kind) {
    case 'PrometheusLabelValuesVariable':
      return ask(asking, `/api/v1/label/${encodeURIComponent(filled(spec.labelName))}/values`, params);
    case 'PrometheusLabelNamesVariable':
      return ask(asking, '/api/v1/labels', params);
    case 'PrometheusPromQLVariable': {
      const asked = new URLSearchParams({ query: filled(spec.expr), time: String(endMs / 1000), limit: '2000' });
      const { result } = await ask<Instant>(asking, '/api/v1/query', asked);
      const label = typeof spec.labelName === 'string' && spec.labelName !== '' ? spec.labelName : undefined;
      return (Array.isArray(result) ? result : []).flatMap(({ metric, value }) => {
        if (label !== undefined) return metric[label] === undefined ? [] : [metric[label]];
        return [`${printSeries(metric)} ${value?.[1] ?? ''} ${(value?.[0] ?? 0) * 1000}`];
      });
    }
    default:
      throw new Error(`variables of kind ${kind.slice(0, 60)} are kept, and not asked for`);
  }
}

interface Instant {
  readonly result: readonly {
    readonly metric: Readonly<Record<string, string>>;
    readonly value?: readonly [number, string];
  }[];
}

function ask<T = readonly string[]>(
  { client, tenant, signal }: Asking,
  path: string,
  params: URLSearchParams,
): Promise<T> {
  return client.fetchQuery({
    queryKey: ['variable-options', tenant, path, params.toString()],
    queryFn: () => fetchData<T>({ path, params, tenant }, signal),
  });
}
