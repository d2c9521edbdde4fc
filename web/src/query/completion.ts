import type { PrometheusClient } from '@prometheus-io/codemirror-promql';
import { EqlRegex, EqlSingle, Neq, NeqRegex } from '@prometheus-io/lezer-promql';
import { fetchData, send } from '../api/http.ts';

const NAMES_MAX = '200';
const LOOKED_AT_MS = 12 * 3_600_000;

interface SearchResult {
  readonly name?: string;
  readonly value?: string;
  readonly type?: string;
  readonly help?: string;
}
interface Matcher {
  readonly name: string;
  /** A node of the grammar. */
  readonly type: number;
  readonly value: string;
}
const OPERATORS: ReadonlyMap<number, string> = new Map([
  [EqlSingle, '='],
  [Neq, '!='],
  [EqlRegex, '=~'],
  [NeqRegex, '!~'],
]);

/** Completion from the search API: names that fit what is typed, at most a few hundred, whatever a tenant has. */
export class SearchClient implements PrometheusClient {
  readonly #tenant: () => string;
  /** Type and help of metrics that were offered. */
  readonly #metadata = new Map<string, { type: string; help: string }[]>();

  constructor(tenant: () => string) {
    this.#tenant = tenant;
  }

  async metricNames(prefix = ''): Promise<string[]> {
    const found = await this.#search('metric_names', { include_metadata: 'true' }, prefix);
    for (const { name, type = '', help = '' } of found) {
      if (this.#metadata.size > 5_000) this.#metadata.clear();
      if (name !== undefined && type !== '') this.#metadata.set(name, [{ type, help }]);
    }
    return found.flatMap(({ name }) => (name === undefined ? [] : [name]));
  }

  async labelNames(metricName = ''): Promise<string[]> {
    const found = await this.#search('label_names', selector(metricName, []), '');
    return found.flatMap(({ name }) => (name === undefined ? [] : [name]));
  }

  async labelValues(labelName: string, metricName = '', matchers: readonly unknown[] = []): Promise<string[]> {
    const others = (matchers as readonly Matcher[]).filter(({ name }) => name !== labelName);
    const found = await this.#search('label_values', { label: labelName, ...selector(metricName, others) }, '');
    return found.flatMap(({ value }) => (value === undefined ? [] : [value]));
  }

  async metricMetadata(): Promise<Record<string, { type: string; help: string }[]>> {
    return Object.fromEntries(this.#metadata);
  }

  async series(metricName: string): Promise<Map<string, string>[]> {
    const params = new URLSearchParams({
      'match[]': `{__name__=${JSON.stringify(metricName)}}`,
      limit: '100',
      ...since(),
    });
    const found = await fetchData<Record<string, string>[]>({ path: '/api/v1/series', params, tenant: this.#tenant() });
    return found.map((labels) => new Map(Object.entries(labels)));
  }

  async flags(): Promise<Record<string, string>> {
    return {};
  }

  async #search(what: string, more: Readonly<Record<string, string>>, term: string): Promise<SearchResult[]> {
    const params = new URLSearchParams({ limit: NAMES_MAX, ...since(), ...more });
    if (term !== '') {
      params.set('search[]', term);
      params.set('sort_by', 'score');
      params.set('case_sensitive', 'false');
    }
    const call = { path: `/api/v1/search/${what}`, params, tenant: this.#tenant() };
    try {
      const text = await (await send(call)).text();
      const lines = text.split('\n').filter((line) => line !== '');
      return lines.flatMap((line) => (JSON.parse(line) as { results?: SearchResult[] }).results ?? []);
    } catch {
      return []; // nothing is offered then: what is wrong is told where the query is run
    }
  }
}

function since(): Record<string, string> {
  return { start: String((Date.now() - LOOKED_AT_MS) / 1000), end: String(Date.now() / 1000) };
}

function selector(metricName: string, matchers: readonly Matcher[]): Record<string, string> {
  const parts = metricName === '' ? [] : [`__name__=${JSON.stringify(metricName)}`];
  for (const { name, type, value } of matchers) {
    const operator = OPERATORS.get(type);
    if (operator !== undefined && value !== '')
      parts.push(`${JSON.stringify(name)}${operator}${JSON.stringify(value)}`);
  }
  return parts.length === 0 ? {} : { 'match[]': `{${parts.join(',')}}` };
}
