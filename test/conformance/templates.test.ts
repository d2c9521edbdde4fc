import assert from 'node:assert/strict';
import { existsSync, readFileSync } from 'node:fs';
import { test } from 'node:test';
import { TemplateError } from '../../src/template/parser.ts';
import { expandAlert, type TemplateSample } from '../../src/template/prometheus.ts';

const file = new URL('../../../shared/conformance/vectors/templates.jsonl', import.meta.url);
const skip = existsSync(file) ? false : `${file.pathname} is missing`;

interface TemplateCase {
  readonly text: string;
  readonly ok: boolean;
  readonly result: string;
  readonly error?: string;
}

const QUERIES: Readonly<Record<string, readonly TemplateSample[]>> = {
  one: [{ labels: [['instance', 'a']], value: 11 }],
  two: [
    { labels: [['instance', 'b']], value: 21 },
    { labels: [['instance', 'a']], value: 11.5 },
  ],
  none: [],
};

async function outcome(text: string): Promise<Omit<TemplateCase, 'text'>> {
  const labels = Object.entries({ instance: 'host1:9100', job: 'node', empty: '', odd: 'a<b>&"c"' });
  try {
    const result = await expandAlert(
      'test',
      text,
      { labels, externalLabels: [['cluster', 'c1']], value: 1234.5678 },
      {
        timeMs: 1_767_225_600_000,
        externalUrl: 'http://prom.example:9090/base',
        query: async (expression) => QUERIES[expression]!,
        nowMs: () => performance.now(),
      },
    );
    return { ok: true, result };
  } catch (thrown) {
    if (!(thrown instanceof TemplateError)) throw thrown;
    return { ok: false, result: '', error: thrown.message };
  }
}

test('templates of alerts expand and fail as in Prometheus', { skip }, async () => {
  const lines = readFileSync(file, 'utf8').trimEnd().split('\n');
  for (const line of lines) {
    const { text, ...expected }: TemplateCase = JSON.parse(line);
    assert.deepEqual(await outcome(text), expected, text);
  }
});
