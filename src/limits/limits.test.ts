import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { ConfigError } from '../kit/config/problem.ts';
import { settingsOf } from '../kit/config/section.ts';
import { silentLogger } from '../kit/observe/log.ts';
import { Registry } from '../kit/observe/metrics.ts';
import { ManualClock } from '../lib/manual-clock.ts';
import { Labels } from '../model/labels.ts';
import { DEFAULT_LIMITS, limitsConfig } from './limits.ts';
import { LimitsService } from './limits-service.ts';
import { packOverrides, parseOverrides, showOverrides, unpackOverrides } from './overrides.ts';
import { TokenBucket } from './token-bucket.ts';

test('names are those of Cortex, and no flag is given twice', () => {
  const settings = settingsOf({ limits: limitsConfig });
  const paths = settings.map(({ path }) => path);
  for (const name of [
    'max_series_per_user',
    'creation_grace_period',
    'ha_tracker_failover_timeout',
    'retention_period',
  ]) {
    assert.ok(paths.includes(`limits.${name}`), name);
  }
  const flags = settings.map(({ flag }) => flag).filter((flag) => flag !== undefined);
  assert.equal(new Set(flags).size, flags.length);
});

test('a tenant has what the file says, and the defaults for the rest', () => {
  const overrides = parseOverrides(
    'overrides:\n  a:\n    max_series_per_user: 5\n    creation_grace_period: 1h\n    drop_labels: [x, y]\n  b:\n',
    'f.yaml',
  );
  assert.deepEqual(overrides.get('a'), {
    maxSeriesPerUser: 5,
    creationGracePeriodMs: 3_600_000,
    dropLabels: ['x', 'y'],
  });
  assert.equal(overrides.get('b'), undefined);
  assert.equal(
    showOverrides(overrides),
    'overrides:\n  a:\n    drop_labels:\n      - x\n      - y\n    creation_grace_period: 1h\n    max_series_per_user: 5\n',
  );
  assert.equal(parseOverrides('', 'f').size, 0);
});

test('tenants may share limits by alias, and add to them', () => {
  const shared = parseOverrides(
    `overrides:
  team-a: &big
    max_series_per_user: 2000000
  team-b: *big
  team-c:
    <<: *big
    ingestion_rate: 5000
  team-d: {ingestion_rate: 1, <<: [{max_exemplars: 1}, *big], max_series_per_user: 7}
`,
    'f.yaml',
  );
  const big = { maxSeriesPerUser: 2_000_000 };
  assert.deepEqual(Object.fromEntries(shared), {
    'team-a': big,
    'team-b': big,
    'team-c': { ...big, ingestionRate: 5000 },
    'team-d': { ingestionRate: 1, maxExemplars: 1, maxSeriesPerUser: 7 },
  });
  const wrong = 'overrides:\n  a: &a {max_exemplar: 1}\n  b: *a\n  c: {<<: *a}\n';
  assert.throws(
    () => parseOverrides(wrong, 'f'),
    ({ problems }: ConfigError) => problems.length === 1 && /^f:2:10: unknown key/.test(problems[0]!),
  );
  const many = `overrides:\n  t: &t {max_exemplars: 1}\n${Array.from({ length: 20_000 }, (_, i) => `  t${i}: *t\n`).join('')}`;
  const passed = unpackOverrides(structuredClone(packOverrides(parseOverrides(many, 'f'))));
  assert.equal(passed.size, 20_001);
  assert.equal(passed.get('t19999'), passed.get('t'));
});

test('what is not in this version is refused with its place', () => {
  assert.throws(
    () => parseOverrides('overrides:\n  a:\n    accept_ha_samples: true\n    ha_max_clusters: 0\n', 'f'),
    ({ problems }: ConfigError) => {
      assert.deepEqual(problems, [
        'f:3:5: accept_ha_samples: not in this version: nothing but the default, false, is taken',
      ]);
      return true;
    },
  );
});

test('"*" holds for all tenants without overrides of their own', async (t) => {
  const folder = await mkdtemp(join(tmpdir(), 'pallium-limits-'));
  t.after(() => rm(folder, { recursive: true }));
  const file = join(folder, 'runtime.yaml');
  await writeFile(file, 'overrides:\n  "*": {max_exemplars: 5}\n  a: {ingestion_rate: 3}\n  b: {}\n  c:\n');
  const limits = LimitsService.of({
    defaults: DEFAULT_LIMITS,
    config: { file, reloadPeriodMs: 10_000 },
    log: silentLogger,
    registry: new Registry(),
    clock: new ManualClock(),
  });
  assert.equal(limits.others, DEFAULT_LIMITS);
  await limits.start();
  t.after(() => limits.stop());
  const { maxExemplars } = DEFAULT_LIMITS;
  const exemplars = ['a', 'b', 'c', 'd'].map((tenant) => limits.of(tenant).maxExemplars);
  assert.deepEqual(exemplars, [maxExemplars, maxExemplars, 5, 5]);
  assert.equal(limits.others.maxExemplars, 5);
  await writeFile(file, 'overrides: {a: {}}');
  await limits.reload();
  assert.equal(limits.of('d'), DEFAULT_LIMITS);
});

test('what is wrong is named with its place', () => {
  const wrong = (source: string) => {
    try {
      parseOverrides(source, 'f.yaml');
    } catch (thrown) {
      assert.ok(thrown instanceof ConfigError);
      return thrown.problems;
    }
    return assert.fail('nothing wrong');
  };
  assert.deepEqual(wrong('overrides:\n  a:\n    max_series_per_usr: 5\n  b/c: {}\n  d: {max_exemplars: -1}\n'), [
    'f.yaml:3:5: unknown key "max_series_per_usr" (did you mean "max_series_per_user"?)',
    `f.yaml:4:3: tenant ID 'b/c' contains unsupported character '/'`,
    'f.yaml:5:7: max_exemplars: -1 is not a whole number',
  ]);
  assert.deepEqual(wrong('override: {}'), ['f.yaml:1:1: unknown key "override"; only "overrides" stands here']);
  assert.match(wrong('a: [')[0]!, /^f\.yaml:1:/);
});

test('the file is read again when it changes; a wrong one changes nothing', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'pallium-limits-'));
  const file = join(folder, 'runtime.yaml');
  await writeFile(file, 'overrides: {a: {max_series_per_user: 1}}');
  const clock = new ManualClock();
  const registry = new Registry();
  const limits = LimitsService.of({
    defaults: DEFAULT_LIMITS,
    config: { file, reloadPeriodMs: 10_000 },
    log: silentLogger,
    registry,
    clock,
  });
  const changes: number[] = [];
  limits.onChange((overrides) => changes.push(overrides.size));
  await limits.start();
  const tick = async () => {
    await clock.advance(10_000);
    while (clock.timers === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  };
  assert.equal(limits.of('a').maxSeriesPerUser, 1);
  assert.equal(limits.of('b'), DEFAULT_LIMITS);
  await tick();
  assert.deepEqual(changes, [1], 'an unchanged file is not read');
  await writeFile(file, 'overrides: {a: {max_series_per_user: 22}, b: {max_exemplars: 7}}');
  await tick();
  assert.equal(limits.of('a').maxSeriesPerUser, 22);
  assert.equal(limits.of('b').maxExemplars, 7);
  await writeFile(file, 'overrides: {a: {max_series_per_user: many}}');
  await tick();
  assert.equal(limits.of('a').maxSeriesPerUser, 22);
  assert.match(await registry.metrics(), /pallium_runtime_config_reloads_total\{result="failure"\} 1/);
  const many = Array.from(
    { length: 1000 },
    (_, i) => `  t${i}:\n    max_exemplars: ${i}\n    metric_relabel_configs: [{action: drop}]\n`,
  );
  await writeFile(file, `overrides:\n${many.join('')}`);
  await tick();
  assert.equal(limits.of('t999').maxExemplars, 999, 'a large file is read in a thread');
  assert.equal(limits.of('t999').metricRelabelConfigs.apply(Labels.of({ a: 'b' })), undefined);
  await writeFile(file, `overrides:\n${many.join('')}  x: {max_exemplars: -1}\n`);
  await tick();
  assert.equal(limits.of('t999').maxExemplars, 999);
  await limits.stop();
  await rm(folder, { recursive: true });
});

test('a bucket grants its burst at once and then its rate', () => {
  const clock = new ManualClock();
  const bucket = new TokenBucket(clock, 10);
  assert.equal(bucket.take(10, 2, 10), true);
  assert.equal(bucket.take(1, 2, 10), false);
  clock.set(500);
  assert.equal(bucket.take(1, 2, 10), true);
  clock.set(60_000);
  assert.equal(bucket.take(11, 2, 10), false);
  assert.equal(bucket.take(10, 2, 10), true);
  clock.setWall(0);
  assert.equal(bucket.take(1, 2, 10), false);
});
