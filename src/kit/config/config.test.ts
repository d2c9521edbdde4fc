import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, choice, count, duration, list, mapping, secret, text, toggle } from './field.ts';
import { loadConfig } from './load.ts';
import { ConfigError } from './problem.ts';
import { section } from './section.ts';
import { showConfig, showFlags, showHelp, showReference } from './show.ts';
import { formatBytes, formatDuration, parseBytes, parseDuration } from './units.ts';

const sections = {
  root: section('', 'Root', { target: list({ default: ['all'], help: 'What runs here.' }) }),
  ingester: section('ingester', 'Ingester', {
    windowMs: duration({ default: '2h', min: '1m', help: 'Time span of a chunk.' }),
    flushConcurrency: count({ default: 4, min: 1, help: 'Flushes at once.' }),
    headBytesMax: bytes({ default: '3GiB', help: 'Size of the head.' }),
    eager: toggle({ default: false, help: 'Flush at once.' }),
  }),
  store: section('store', 'Store', {
    kind: choice({ default: 'embedded', values: ['embedded', 'cassandra'], help: 'Which.' }),
    password: secret({ help: 'Password.' }),
    user: text({ help: 'User.' }),
    labels: mapping({ help: 'Labels.' }),
    maxAgeMs: duration({ default: '0', help: 'Age.', flag: 'limits.age' }),
  }),
};

function load(args: string[], file = '', env: Record<string, string> = {}) {
  return loadConfig(sections, { args, env, readText: () => file });
}

function problems(args: string[], file = ''): readonly string[] {
  try {
    load(args, file);
  } catch (thrown) {
    assert.ok(thrown instanceof ConfigError);
    return thrown.problems;
  }
  return assert.fail('no problem');
}

test('defaults hold where nobody says otherwise', () => {
  const { values } = load([]);
  assert.deepEqual(values.root.target, ['all']);
  assert.equal(values.ingester.windowMs, 7_200_000);
  assert.equal(values.ingester.headBytesMax, 3 * 2 ** 30);
  assert.equal(values.store.kind, 'embedded');
});

test('flags have one dash or two, a value after = or a space, booleans none', () => {
  const { values } = load([
    '-ingester.window=1m',
    '--ingester.flush-concurrency',
    '7',
    '-ingester.eager',
    '-limits.age=1h30m',
  ]);
  assert.equal(values.ingester.windowMs, 60_000);
  assert.equal(values.ingester.flushConcurrency, 7);
  assert.equal(values.ingester.eager, true);
  assert.equal(values.store.maxAgeMs, 5_400_000);
  assert.equal(load(['-ingester.eager=false']).values.ingester.eager, false);
  assert.deepEqual(load(['-target=a,b', '-target', 'c']).values.root.target, ['a', 'b', 'c']);
});

test('the file is read, flags override it, the environment fills it', () => {
  const file =
    // biome-ignore lint/suspicious/noTemplateCurlyInString: this is what stands in the file
    'target: [querier, "ruler"]\ningester:\n  window: 3h\n  eager: true\nstore:\n  password: ${PW:none}\n  labels: {a: 1}\n';
  const { values } = load(['-config.file=x.yaml', '-config.expand-env', '-ingester.window=4h'], file, { PW: 's3cret' });
  assert.deepEqual(values.root.target, ['querier', 'ruler']);
  assert.equal(values.ingester.windowMs, 4 * 3_600_000);
  assert.equal(values.ingester.eager, true);
  assert.equal(values.store.password, 's3cret');
  assert.deepEqual(values.store.labels, { a: '1' });
  assert.equal(load(['-config.file=x', '-config.expand-env'], file).values.store.password, 'none');
});

test('a problem names file, line and column, and what was meant', () => {
  const file = 'ingester:\n  windw: 3h\n  flush_concurrency: 0\nstor: {}\nstore:\n  kind: mysql\n  user: [a]\n';
  assert.deepEqual(problems(['-config.file=x.yaml'], file), [
    'x.yaml:2:3: unknown key "ingester.windw" (did you mean "window"?)',
    'x.yaml:3:3: ingester.flush_concurrency: 0 is below the least, 1',
    'x.yaml:4:1: unknown key "stor" (did you mean "store"?)',
    'x.yaml:6:3: store.kind: mysql is none of embedded, cassandra',
    'x.yaml:7:3: store.user: a text is wanted, not a list or mapping',
  ]);
  assert.match(problems(['-config.file=x.yaml'], 'a: [1\nb: 2')[0]!, /^x\.yaml:\d+:\d+: /);
  assert.match(problems(['-config.file=x.yaml'], '- 1')[0]!, /^x\.yaml:1:1: the file must be a mapping/);
});

test('unknown flags, missing values and stray words are refused', () => {
  assert.deepEqual(problems(['-ingester.windo=1m', 'stray', '-ingester.window=soon', '-store.kind']), [
    'unknown flag -ingester.windo (did you mean "ingester.window"?); --help lists all flags',
    'unexpected argument "stray": flags look like -target=all; --help lists them',
    '-store.kind needs a value',
    '-ingester.window: soon is not a duration (like 1h30m or 15s)',
  ]);
});

test('configuration is shown with secrets masked', () => {
  const { values } = load(['-store.password=x', '-ingester.window=1m']);
  assert.equal(showConfig(sections, values, 'diff'), 'ingester:\n  window: 1m\nstore:\n  password: "********"\n');
  assert.match(showConfig(sections, values, 'all'), /head_bytes_max: 3GiB/);
  assert.doesNotMatch(showConfig(sections, values, 'defaults'), /\*\*\*/);
  assert.equal(showFlags(sections, values)['store.password'], '********');
  assert.equal(showFlags(sections, values)['ingester.window'], '1m');
});

test('help and reference list every setting', () => {
  for (const page of [showHelp(sections, 'pallium'), showReference(sections)]) {
    assert.match(page, /-ingester\.window/);
    assert.match(page, /2h/);
    assert.match(page, /-config\.file/);
  }
});

test('durations and sizes read what they print', () => {
  for (const text of ['2h', '1h30m', '100ms', '15s', '2w', '1y', '0s', '10d', '1d12h']) {
    assert.equal(formatDuration(parseDuration(text)), text);
  }
  for (const text of ['3GiB', '512KiB', '1000', '0']) assert.equal(formatBytes(parseBytes(text)), text);
  for (const bad of ['', '5', 'h', '1h 3m', '-1s']) assert.throws(() => parseDuration(bad), RangeError);
  for (const bad of ['', '5X', 'GiB', '-1']) assert.throws(() => parseBytes(bad), RangeError);
});

test('an empty value is refused where one is wanted', () => {
  const one = {
    auth: section('auth', 'Auth', {
      file: text({ valueWanted: true, help: 'File.' }),
      key: secret({ valueWanted: true, help: 'Key.' }),
    }),
  };
  for (const [args, file] of [
    [['-auth.file='], ''],
    [['-config.file=x'], 'auth: {file: }'],
    [['-config.file=x'], 'auth: {key: ""}'],
  ] as const) {
    assert.throws(
      () => loadConfig(one, { args, env: {}, readText: () => file }),
      /auth\.(file|key): it is given, but empty/,
    );
  }
  assert.equal(loadConfig(one, { args: [], env: {} }).values.auth.file, '');
});

test('secrets in addresses are masked wherever configuration is shown', () => {
  const { values } = load(['-store.user=https://ann:pw@host/?sig=abc']);
  assert.equal(showFlags(sections, values)['store.user'], 'https://ann:********@host/?sig=********');
  assert.match(showConfig(sections, values, 'all'), /user: https:\/\/ann:\*{8}@host/);
});
