import assert from 'node:assert/strict';
import { after, before, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { Pallium } from '../harness/pallium.ts';
import { cpuMs } from '../harness/process-cost.ts';
import { push, writeBody } from '../harness/remote-write.ts';
import { withVictim } from './victim.ts';

// Queries that are built to hurt others than who asks them.

let server: Pallium;
before(async () => {
  server = await Pallium.start({ flags: ['-querier.enable-promql-experimental-functions=true'] });
  await seed();
});
after(() => server[Symbol.asyncDispose]());

const ATTACKER = { 'x-scope-orgid': 'attacker' };
const random = () => Math.random().toString(36).slice(2);
/** A long label value without a second like it. */
const longText = (chars: number) =>
  Array.from({ length: Math.ceil(chars / 8) }, random)
    .join('')
    .slice(0, chars);

async function seed(): Promise<void> {
  const timeMs = Date.now();
  const write = async (series: { labels: Record<string, string> }[]) => {
    const body = writeBody(series.map(({ labels }) => ({ labels, samples: [[timeMs, 1]] })));
    const { status, text } = await push(`${server.url}/api/v1/push`, body, ATTACKER);
    assert.equal(status, 204, text);
  };
  await write(Array.from({ length: 300 }, () => ({ labels: { __name__: 'evil', v: longText(2000) } })));
  await write(Array.from({ length: 300 }, () => ({ labels: { __name__: 'evil_short', v: longText(40) } })));
  for (let at = 0; at < 30_000; at += 10_000) {
    await write(Array.from({ length: 10_000 }, (_, i) => ({ labels: { __name__: 'many', n: `${at + i}` } })));
  }
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

async function ask(
  path: string,
  params: Record<string, string> | [string, string][],
  signal?: AbortSignal,
): Promise<Answer> {
  const response = await fetch(`${server.url}${path}`, {
    method: 'POST',
    headers: ATTACKER,
    body: new URLSearchParams(params),
    ...(signal === undefined ? {} : { signal }),
  });
  return { status: response.status, text: await response.text() };
}

const query = (expr: string, more: Record<string, string> = {}) => ask('/api/v1/query', { query: expr, ...more });

/** Each several times at once. */
async function refused(expr: string, limit: RegExp, times = 4): Promise<void> {
  for (const { status, text } of await Promise.all(Array.from({ length: times }, () => query(expr)))) {
    // where several ask for the memory of one thread, some are told to come again
    if (status === 503 && /worker-heap-mb/.test(text)) continue;
    assert.ok(status >= 400 && status < 500, `${status} ${text.slice(0, 300)}`);
    assert.match(text, limit);
    assert.ok(text.length < 5_000, `a text of ${text.length} characters`);
  }
}

const nested = (start: string, times: number, around: (inner: string) => string) => {
  let expr = start;
  for (let i = 0; i < times; i++) expr = around(expr);
  return expr;
};
const START = `label_replace(vector(1), "x", "${'A'.repeat(1000)}", "", "")`;

const REFUSED: readonly (readonly [name: string, expr: string, limit: RegExp])[] = [
  [
    'label_join doubles a value 19 times',
    nested(START, 19, (inner) => `label_join(${inner}, "x", "", "x", "x")`),
    /querier\.max-label-value-length/,
  ],
  [
    'label_replace doubles a value 19 times',
    nested(START, 19, (inner) => `label_replace(${inner}, "x", "$1$1", "x", "(.*)")`),
    /querier\.max-label-value-length/,
  ],
  [
    'label_join with a separator of a megabyte',
    `label_join(${START}, "x", "${'B'.repeat(1 << 20)}", "x", "x")`,
    /querier\.max-label-value-length/,
  ],
  [
    'a template of 30,000 groups',
    `label_replace(${START}, "y", "${'$1'.repeat(30_000)}", "x", "(.*)")`,
    /querier\.max-label-value-length/,
  ],
  [
    'a template of half a million groups',
    `label_replace(${START}, "y", "${'$1'.repeat(500_000)}", "x", "(.*)")`,
    /regex_length_max/,
  ],
  [
    'a program of three million instructions',
    `label_replace(evil, "x", "$1", "v", "${'.{0,1000}'.repeat(3000)}")`,
    /regex_program_size_max/,
  ],
  [
    'groups over long values',
    `label_replace(evil, "x", "$1", "v", "(${'(.?)'.repeat(2000)}.*)")`,
    /regex_capture_steps_max|regex_program_size_max/,
  ],
  ['a matcher of three million instructions', `evil{v=~"${'.{0,1000}'.repeat(3000)}"}`, /regex_program_size_max/],
  [
    'count_values over many labels of long values',
    nested('many', 20, (inner) => `label_replace(${inner}, "l${random()}", "${'C'.repeat(20_000)}", "", "")`),
    /max_query_memory_bytes|16 times querier\.max-label-value-length/,
  ],
  [
    'hundreds of selectors in one expression',
    Array.from({ length: 10 }, () => `(${Array.from({ length: 110 }, () => 'evil').join('+')})`).join('+'),
    /query_selectors_max/,
  ],
  [
    '100,000 labels to group by',
    `sum by (${Array.from({ length: 100_000 }, (_, i) => `l${i}`).join()}) (many)`,
    /query_label_list_max/,
  ],
  ['100,000 matchers', `many{${'n!="",'.repeat(100_000)}}`, /query_matchers_max/],
  ['a tree of 300,000 parts', `label_join(many, "x", "", ${'"y", '.repeat(300_000)}"y")`, /20000 parts/],
  [
    'a subquery of every millisecond',
    'max_over_time((evil > 0)[1y:1ms])',
    /querier\.max-samples|max_query_memory_bytes/,
  ],
  [
    'subqueries of 40 million steps',
    'sum_over_time((sum_over_time(vector(time())[11h:1ms]))[11h:1ms])',
    /querier\.max-samples|max_query_memory_bytes/,
  ],
];

for (const [name, expr, limit] of REFUSED) {
  test(name, () => withVictim(server, () => refused(expr, limit)));
}

const EVIL = [
  '(?:[a-m].?|[n-z]..?|[0-9]?){600}(?:[a-c].?|[d-z]..?|[0-9]?){600}[!]',
  '(?:a?|[b-z0-9]?){900}(?:[a-z0-9]?){900}[!]',
  `${'.{0,1000}'.repeat(9)}!`,
  '(?i)(?:[a-z]{1,3}[0-9]?){300}!',
];

test('small queries whose expressions take long to compile, asked again and again', () =>
  withVictim(server, async () => {
    // the thread that has the connections may evaluate what was asked before: not even to find out that it is not small
    for (let i = 0; i < 60; i++) await query('absent(evil_none)');
    // a text of its own each time: what was compiled is kept
    const hard = (to: number) => {
      const own = longText(6);
      const matchers = Array.from({ length: 12 }, (_, i) => `x${i}=~"(\\\\p{L}{1,10}){1,${to - i}}${own}"`);
      return `absent(up{${matchers.join(', ')}})`;
    };
    for (const to of [100, 88]) {
      const expr = hard(to);
      for (let i = 0; i < 3; i++) {
        const { status, text } = await query(expr);
        assert.equal(status, 200, text);
      }
    }
  }));

test('expressions that take long to match, until the time is up', () =>
  withVictim(server, async () => {
    const asked = EVIL.flatMap((pattern) =>
      ['evil', 'evil_short'].map((metric) => query(`${metric}{v=~"${pattern}"}`, { timeout: '5s' })),
    );
    for (const { status, text } of await Promise.all(asked)) {
      assert.ok(status === 200 || status === 503 || status === 422, `${status} ${text.slice(0, 200)}`);
      if (status !== 200) assert.match(text, /querier\.timeout|max/);
    }
  }));

test('expressions that take long to match, whose caller goes away', () =>
  withVictim(server, async () => {
    const caller = new AbortController();
    const asked = Array.from({ length: 20 }, (_, i) =>
      ask(
        i % 2 === 0 ? '/api/v1/series' : '/api/v1/labels',
        { 'match[]': `evil{v=~"${EVIL[i % EVIL.length]}"}` },
        caller.signal,
      ).catch(() => {}),
    );
    await sleep(2000);
    caller.abort();
    await Promise.all(asked);
  }));

test('3 MB of alternatives are answered', async () => {
  const hosts = Array.from({ length: 150_000 }, (_, i) => `10\\\\.${i >> 16}\\\\.${(i >> 8) & 255}\\\\.${i & 255}`);
  // the thread that reads them is busy for some tenths of a second: a victim's query may wait for so long
  const mixed = hosts.map((host, i) => [host, `${host}:.*`, `(?i:H-${i})`, `h-${i}.x`, `(h|(i|j))-${i}\\\\d+`][i % 5]);
  const bodies = [
    hosts.join('|'),
    `(${hosts.join('|')}):.*`,
    hosts.map((host) => `.*${host}`).join('|'),
    `(?i:${hosts.join('|')})`,
    mixed.join('|'),
  ].map((pattern) => Buffer.from(new URLSearchParams({ query: `many{n=~"${pattern}"}` }).toString()));
  for (const body of bodies) {
    const from = cpuMs(server.pid);
    const headers = { ...ATTACKER, 'content-type': 'application/x-www-form-urlencoded' };
    const response = await fetch(`${server.url}/api/v1/query`, { method: 'POST', headers, body });
    assert.equal(response.status, 200, await response.text());
    assert.ok(cpuMs(server.pid) - from < 10_000);
  }
});

test('looks at what all series cost, many at once', () =>
  withVictim(server, async () => {
    const rules = EVIL.map((pattern): [string, string] => ['drop[]', `{v=~"${pattern}"}`]);
    const caller = new AbortController();
    const left = Array.from({ length: 4 }, () =>
      ask('/api/v1/cardinality/savings', [...rules, ['drop_label[]', 'n']], caller.signal).catch(() => {}),
    );
    const asked = Array.from({ length: 12 }, (_, i) =>
      i % 3 === 0
        ? ask('/api/v1/cardinality/savings', { 'drop_label[]': 'n', 'drop[]': 'evil' })
        : i % 3 === 1
          ? ask('/api/v1/cardinality/day', { focus: 'v', limit: '1000', compare: '2026-01-01' })
          : ask('/api/v1/admin/tsdb/delete_series/preview', { 'match[]': '{__name__!=""}' }),
    );
    for (const { status, text } of await Promise.all(asked)) {
      assert.ok(status === 200 || status === 503 || status === 422, `${status} ${text.slice(0, 200)}`);
    }
    caller.abort();
    await Promise.all(left);
    const many = Array.from({ length: 10_000 }, (): [string, string] => ['drop[]', 'many']);
    assert.equal((await ask('/api/v1/cardinality/savings', many)).status, 422);
  }));

test('10,000 match[] at once', () =>
  withVictim(server, async () => {
    const params = Array.from({ length: 10_000 }, (): [string, string] => ['match[]', 'many']);
    for (const path of ['/api/v1/series', '/api/v1/labels', '/federate']) {
      const { status, text } = await ask(path, params);
      assert.ok(status >= 400 && status < 500, `${path} ${status} ${text.slice(0, 200)}`);
    }
  }));

test('large answers to many at once', () =>
  withVictim(server, async () => {
    const answers = await Promise.all(
      Array.from({ length: 4 }, () => query('sort_by_label(label_replace(many, "m", "$1", "n", "(.*)"), "m", "n")')),
    );
    for (const { status, text } of answers) {
      assert.ok(status === 200 || (status >= 400 && status < 500), `${status} ${text.slice(0, 200)}`);
    }
  }));
