import assert from 'node:assert/strict';
import { test } from 'node:test';
import { bytes, choice, count, duration, list, mapping, planned, secret, structure, text, toggle } from './field.ts';
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

test('what no version acts on yet is refused, but for its default, and listed nowhere', () => {
  const later = {
    later: section('later', 'Later', {
      on: planned(toggle({ default: false, help: 'On.' })),
      labels: planned(mapping({ help: 'Labels.' })),
      ttlMs: planned(duration({ default: '30s', help: 'Age.' })),
    }),
  };
  const read = (args: string[], file: string) =>
    loadConfig(later, { args: ['-config.file=x', ...args], env: {}, readText: () => file }).values;
  const { later: values } = read(['-later.on=false'], 'later: {labels: {}, ttl: 30s}');
  assert.deepEqual(values, { on: false, labels: {}, ttlMs: 30_000 });
  assert.throws(
    () => read(['-later.on'], 'later:\n  labels: {a: b}\n  ttl: 31s\n'),
    ({ problems }: ConfigError) => {
      assert.deepEqual(problems, [
        '-later.on: not in this version: nothing but the default, false, is taken',
        'x:2:3: later.labels: not in this version: nothing but the default, {}, is taken',
        'x:3:3: later.ttl: not in this version: nothing but the default, "30s", is taken',
      ]);
      return true;
    },
  );
  assert.equal(showConfig(later, { later: values }, 'all'), '{}\n');
  assert.deepEqual(showFlags(later, { later: values }), {});
  for (const page of [showHelp(later, 'pallium'), showReference(later)]) assert.doesNotMatch(page, /later\.(on|ttl)/);
});

test('aliases stand for what they name, and << merges mappings in', () => {
  const any = {
    any: section('any', 'Any', {
      labels: mapping({ help: 'Labels.' }),
      more: mapping({ help: 'Labels.' }),
      windowMs: duration({ default: '0', help: 'Window.' }),
      spanMs: duration({ default: '0', help: 'Span.' }),
      steps: structure({ default: [] as unknown, help: 'Steps.', parse: (value) => value, print: (value) => value }),
    }),
  };
  const read = (file: string) =>
    loadConfig(any, { args: ['-config.file=x'], env: {}, readText: () => file }).values.any;
  const wrong = (file: string) => {
    try {
      read(file);
    } catch (thrown) {
      return (thrown as ConfigError).problems;
    }
    return assert.fail(`taken: ${file}`);
  };
  assert.deepEqual(
    read(
      'any:\n  labels: &l {a: x, b: &y z}\n  more: {c: *y, <<: *l, a: own}\n  window: &w 3h\n  span: *w\n' +
        '  steps: [&one {p: 1, q: 2}, {<<: [{q: 3}, *one]}, *one, [*y], {"<<": 4}]\n',
    ),
    {
      labels: { a: 'x', b: 'z' },
      more: { c: 'z', a: 'own', b: 'z' },
      windowMs: 3 * 3_600_000,
      spanMs: 3 * 3_600_000,
      steps: [{ p: 1, q: 2 }, { q: 3, p: 1 }, { p: 1, q: 2 }, ['z'], { '<<': 4 }],
    },
  );
  assert.equal(read('any:\n  <<: {window: 2m}\n  span: 1m').windowMs, 120_000);
  assert.deepEqual(wrong('any:\n  labels: &l {a: *l}'), ['x:2:18: *l stands within what it names']);
  assert.deepEqual(wrong('any:\n  labels: *l\n  more: &l {}'), ['x:2:11: *l has no anchor before it']);
  assert.deepEqual(wrong('any:\n  <<: 3\n  labels: {<<: [a]}'), [
    'x:2:3: only mappings can be merged in',
    'x:3:3: any.labels: x:3:12: only mappings can be merged in',
  ]);
  assert.deepEqual(wrong('any: {window: 1m, window: 2m}'), ['x:1:19: "window" stands twice in this mapping']);
  assert.deepEqual(wrong('any: {<<: {windw: 1h}}'), ['x:1:12: unknown key "any.windw" (did you mean "window"?)']);
});

test('aliases of aliases are refused before they are worth more than a file may be', () => {
  const laughs = ['any:', '  steps:', `    - &a0 [${Array(10).fill('ha').join(', ')}]`];
  for (let i = 1; i < 60; i++)
    laughs.push(
      `    - &a${i} [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}]`,
    );
  const merges = ['any:', '  steps:', '    - &a0 {k: v}'];
  for (let i = 1; i < 60; i++)
    merges.push(
      `    - &a${i} {<<: [${Array(10)
        .fill(`*a${i - 1}`)
        .join(', ')}], k${i}: v}`,
    );
  for (const lines of [laughs, merges]) {
    const any = {
      any: section('any', 'Any', {
        steps: structure({ default: 0 as unknown, help: 'Steps.', parse: (value) => value, print: (value) => value }),
      }),
    };
    assert.throws(
      () => loadConfig(any, { args: ['-config.file=x'], env: {}, readText: () => lines.join('\n') }),
      /x:[89]:\d+: aliases stand for more than 2000000 values in this file$/,
    );
  }
});
