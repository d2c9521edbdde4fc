import assert from 'node:assert/strict';
import { test } from 'node:test';
import { jaroWinkler, scorer, subsequenceScore } from './search-score.ts';
import { ask, testSources } from './test-sources.ts';

const MS = 1767231000000 - 1000;
const sources = testSources(
  ['node_cpu_seconds_total', 'node_load1', 'up', 'Upper', 'process_cpu'].map(
    (name) => [{ __name__: name, job: 'j' }, [MS, 1]] as const,
  ),
);

async function found(url: string): Promise<unknown[]> {
  const { status, text } = await ask(sources, url);
  assert.equal(status, 200, text);
  return text
    .trimEnd()
    .split('\n')
    .map((line) => JSON.parse(line));
}

test('a subsequence scores by runs, less gaps', () => {
  assert.equal(subsequenceScore([...'abc'], [...'abc']), 1);
  assert.equal(subsequenceScore([...'abc'], [...'ab']), 0);
  assert.equal(subsequenceScore([...'ac'], [...'abc']), (1 + 1 - 1 / 3) / 4);
  // the later place to begin is the better one
  assert.equal(subsequenceScore([...'ab'], [...'axab']), (4 - 2 / 4) / 4);
  assert.equal(subsequenceScore([...'ab'], [...'abxx']), (4 - (2 / 4) * 0.5) / 4);
});

test('Jaro–Winkler is that of the textbooks', () => {
  for (const [a, b, want] of [
    ['martha', 'marhta', 0.9611],
    ['dixon', 'dicksonx', 0.8133],
    ['abc', 'xyz', 0],
    ['same', 'same', 1],
  ] as const) {
    assert.equal(Number(jaroWinkler([...a], [...b]).toFixed(4)), want);
    assert.equal(jaroWinkler([...a], [...b]), jaroWinkler([...b], [...a]));
  }
});

test('terms are alternatives, a beginning is the best fit, case may not matter', () => {
  const loose = scorer({ terms: ['NODE', 'cpu'], algorithm: 'subsequence', threshold: 0, caseSensitive: false });
  assert.equal(loose('node_load1'), 1);
  assert.ok(loose('process_cpu') > 0 && loose('process_cpu') < 1);
  assert.equal(loose('up'), 0);
  const alike = scorer({ terms: ['nod_cpu'], algorithm: 'jarowinkler', threshold: 0.8, caseSensitive: true });
  assert.ok(alike('node_cpu') > 0.8);
  assert.equal(alike('up'), 0);
});

test('names come in batches of lines, then how it ended', async () => {
  assert.deepEqual(await found('/api/v1/search/metric_names?search[]=cpu&limit=1&sort_by=score'), [
    { results: [{ name: 'node_cpu_seconds_total' }] },
    { status: 'success', has_more: true },
  ]);
  assert.deepEqual((await found('/api/v1/search/metric_names?search[]=up&include_score=1'))[0], {
    results: [{ name: 'up', score: 1 }],
  });
  assert.deepEqual(await found('/api/v1/search/metric_names?search[]=up&case_sensitive=false&include_metadata=true'), [
    { results: [{ name: 'Upper' }, { name: 'up', type: 'gauge', help: 'Is it up.', unit: '' }] },
    { status: 'success', has_more: false },
  ]);
  assert.deepEqual(await found('/api/v1/search/label_names?batch_size=1&sort_by=alpha&sort_dir=dsc'), [
    { results: [{ name: 'job' }] },
    { results: [{ name: '__name__' }] },
    { status: 'success', has_more: false },
  ]);
  assert.deepEqual((await found('/api/v1/search/label_values?label=__name__&search[]=up&include_score=1'))[0], {
    results: [{ value: 'up', score: 1 }],
  });
  assert.deepEqual(await found('/api/v1/search/label_values?label=nope'), [
    { results: [] },
    { status: 'success', has_more: false },
  ]);
});

test('parameters are checked, and all of it may be off', async () => {
  for (const [url, want] of [
    ['label_values', 'missing required parameter "label"'],
    ['metric_names?sort_by=size', 'invalid sort_by "size" for metric_names: must be "alpha" or "score"'],
    ['metric_names?sort_by=score', 'sort_by=score requires search[] to be set'],
    ['metric_names?fuzz_threshold=101', 'invalid fuzz_threshold "101": must be 0-100'],
    ['metric_names?fuzz_alg=x', 'unsupported fuzz_alg "x": must be one of [subsequence jarowinkler]'],
    ['metric_names?limit=-1', 'invalid limit "-1": must be non-negative integer'],
  ] as const) {
    const { json } = await ask(sources, `/api/v1/search/${url}`);
    assert.deepEqual(json, { status: 'error', errorType: 'bad_data', error: want });
  }
  const off = await ask(testSources([], { searchEnabled: false }), '/api/v1/search/metric_names');
  assert.deepEqual([off.status, (off.json as { error: string }).error], [500, 'search API disabled']);
});
