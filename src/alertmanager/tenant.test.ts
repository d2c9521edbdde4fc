import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { threadCpuMs } from '../lib/test-thread-cpu.ts';
import { alertOf } from './alert.ts';
import { parseMatchers } from './matcher-parser.ts';
import { given, noLimits, ok, START_MS, TestTenant } from './test-tenant.ts';

const CONFIG = `
route: { receiver: hook, group_by: [group], group_wait: 10s, group_interval: 60s, repeat_interval: 10m }
receivers: [{ name: hook, webhook_configs: [{ url: http://hook }] }]
`;

test('a group waits, then is told on its interval: new alerts, resolved ones, repeats', async () => {
  const t = await TestTenant.open(CONFIG);
  await t.fire({ alertname: 'a' });
  await t.clock.advance(5_000);
  await t.fire({ alertname: 'b' });
  await t.clock.advance(4_000);
  assert.deepEqual(t.told(), []);
  await t.clock.advance(1_000);
  assert.deepEqual(t.told(), ['10s hook: firing a, firing b (first notification)']);
  await t.fire({ alertname: 'c' });
  await t.clock.advance(60_000);
  assert.deepEqual(t.told(), ['70s hook: firing a, firing b, firing c (new alerts added)']);
  await t.resolve({ alertname: 'a' });
  await t.clock.advance(60_000);
  assert.deepEqual(t.told(), ['130s hook: resolved a, firing b, firing c (some alerts resolved)']);
  await t.clock.advance(600_000);
  assert.deepEqual(t.told(), [], 'the repeat interval has to be over before a flush');
  await t.clock.advance(60_000);
  assert.deepEqual(t.told(), ['790s hook: firing b, firing c (repeat interval elapsed)']);
  await t.resolve({ alertname: 'b' }, { alertname: 'c' });
  await t.clock.advance(60_000);
  assert.deepEqual(t.told(), ['850s hook: resolved b, resolved c (all alerts resolved)']);
  assert.equal(t.am.groupCount, 0, 'an empty group ends');
  await t.fire({ alertname: 'a' });
  await t.clock.advance(10_000);
  assert.deepEqual(t.told(), ['860s hook: firing a (first notification)'], 'another group begins');
});

test('labels of a route are expanded with all alerts of the group, also those that are not told', async () => {
  const t = await TestTenant.open(`
route: { receiver: hook, group_wait: 10s, group_interval: 60s, labels: { place: '{{ .CommonLabels.team }}' } }
receivers: [{ name: hook, webhook_configs: [{ url: http://hook, send_resolved: false }] }]
`);
  const places = () => t.requests.splice(0).map(({ body }) => JSON.parse(body!).routeLabels.place as string);
  await t.fire({ alertname: 'a', team: 'x' });
  await t.clock.advance(10_000);
  assert.deepEqual(places(), ['x']);
  await t.resolve({ alertname: 'a', team: 'x' });
  await t.fire({ alertname: 'b', team: 'y' });
  await t.clock.advance(60_000);
  assert.deepEqual(places(), [''], 'two teams, of which one is resolved and not told');
});

test('one that resolves before it was told is told to nobody; one older than the wait does not wait', async () => {
  const t = await TestTenant.open(CONFIG);
  await t.fire({ alertname: 'a' });
  await t.clock.advance(5_000);
  await t.resolve({ alertname: 'a' });
  await t.clock.advance(100_000);
  assert.deepEqual([t.told(), t.am.groupCount], [[], 0]);
  await t.am.put([given({ alertname: 'b' }, { startsAtMs: START_MS, endsAtMs: START_MS + 1e9 })], true, t.signal);
  await t.clock.advance(1);
  assert.deepEqual(t.told(), ['105s hook: firing b (first notification)']);
});

test('an alert without an end resolves when it does not come again', async () => {
  const t = await TestTenant.open(`global: { resolve_timeout: 30s }${CONFIG}`);
  await t.am.put([given({ alertname: 'a' })], true, t.signal);
  await t.clock.advance(20_000);
  await t.am.put([given({ alertname: 'a' })], true, t.signal);
  await t.clock.advance(29_000);
  assert.deepEqual(t.told(), ['10s hook: firing a (first notification)']);
  await t.clock.advance(30_000);
  assert.deepEqual(t.told(), ['70s hook: resolved a (all alerts resolved)']);
});

test('silences, inhibition and times', async () => {
  const t = await TestTenant.open(`
route:
  receiver: hook
  group_by: [alertname]
  group_wait: 0s
  group_interval: 60s
  routes: [{ matchers: [night="yes"], mute_time_intervals: [noon], group_by: [alertname] }]
receivers: [{ name: hook, webhook_configs: [{ url: http://hook }] }]
inhibit_rules: [{ source_matchers: [kind="source"], target_matchers: [kind="target"], equal: [zone] }]
time_intervals: [{ name: noon, time_intervals: [{ times: [{ start_time: '12:00', end_time: '12:03' }] }] }]
`);
  const silence = {
    id: '',
    matchers: parseMatchers('alertname="silent"'),
    startsAtMs: START_MS,
    endsAtMs: START_MS + 90_000,
    createdBy: 'me',
    comment: '',
    annotations: new Map(),
  };
  const id = await t.am.silences.set(silence, START_MS, t.signal);
  await t.fire(
    { alertname: 'silent' },
    { alertname: 'source', kind: 'source' },
    { alertname: 'inhibited', kind: 'target' },
    { alertname: 'muted', night: 'yes' },
  );
  await t.clock.advance(1_000);
  assert.deepEqual(t.told(), ['0s hook: firing source (first notification)']);
  assert.deepEqual(t.events.splice(0).sort(), [
    'suppressed inhibition 1',
    'suppressed mute_time_interval 1',
    'suppressed silence 1',
  ]);
  const states = (await t.am.shownGroups()).map(({ alerts: [shown], isMuted }) => [
    shown!.alert.labels.get('alertname'),
    shown!.status.state,
    shown!.status.silencedBy.length + shown!.status.inhibitedBy.length,
    isMuted,
  ]);
  assert.deepEqual(states.sort(), [
    ['inhibited', 'suppressed', 1, false],
    ['muted', 'suppressed', 0, true],
    ['silent', 'suppressed', 1, false],
    ['source', 'active', 0, false],
  ]);
  await t.resolve({ alertname: 'source', kind: 'source' });
  await t.clock.advance(200_000);
  assert.deepEqual(t.told(), [
    '60s hook: resolved source (all alerts resolved)',
    '60s hook: firing inhibited (first notification)',
    '120s hook: firing silent (first notification)',
    '180s hook: firing muted (first notification)',
  ]);
  assert.equal(t.am.silences.get(id)?.createdBy, 'me');
});

test('a failed notification is tried again with longer and longer waits, until the next flush', async () => {
  const t = await TestTenant.open(CONFIG);
  t.answer = () => ({ status: 503, headers: new Map(), body: 'later' });
  await t.fire({ alertname: 'a' });
  await t.clock.advance(69_000);
  const times = t.requests.splice(0).map(({ atMs }) => atMs / 1000);
  assert.deepEqual(times.slice(0, 4), [10, 10.5, 11.25, 12.375]);
  assert.ok(times.length < 14, `${times.length}`);
  t.answer = () => ok();
  await t.clock.advance(61_000);
  assert.deepEqual(t.told().at(-1)?.replace(/^\S+/, ''), ' hook: firing a (first notification)');
  // what no other try can mend is not tried again
  t.answer = () => ({ status: 400, headers: new Map(), body: 'bad' });
  await t.fire({ alertname: 'b' });
  await t.clock.advance(60_000);
  assert.equal(t.requests.splice(0).length, 1);
  assert.ok(t.events.includes('failed clientError after 1: unexpected status code 400: bad'), t.events.join());
});

test('an answer that repeats a secret does not bring it to the log', async () => {
  const t = await TestTenant.open(CONFIG.replace('http://hook', 'http://hook/topsecret'));
  t.answer = () => ({ status: 400, headers: new Map(), body: 'no hook at http://hook/topsecret' });
  await t.fire({ alertname: 'a' });
  await t.clock.advance(11_000);
  assert.deepEqual(t.events, ['failed clientError after 1: unexpected status code 400: no hook at <secret>']);
});

test('an answer that repeats all that it was sent brings no secret of any kind of receiver to the log', async () => {
  const page = readFileSync(join(import.meta.dirname, '../../docs/receivers.md'), 'utf8');
  const examples = /```yaml\n([\s\S]*?)```/.exec(page)![1]!.replaceAll('SECRET', 'topsecret');
  const names = [...examples.matchAll(/^ {2}- name: (\w+)$/gm)]
    .map(([, name]) => name!)
    .filter((name) => name !== 'email');
  assert.ok(names.length > 15);
  const BASIC = `Basic ${Buffer.from('me:topsecret').toString('base64')}`;
  for (const name of names) {
    const t = await TestTenant.open(
      examples.replace('route: { receiver: webhook }', `route: { receiver: ${name}, group_wait: 1s }`),
    );
    t.answer = ({ url, headers, body, config }) => {
      const text = JSON.stringify({ url, headers, body, auth: [config.authorization, config.basicAuth, BASIC] });
      return { status: 400, headers: new Map(), body: text };
    };
    await t.fire({ alertname: 'a' });
    await t.clock.advance(310_000);
    const failed = t.events.filter((event) => event.startsWith('failed'));
    assert.ok(failed.length > 0, `${name}: ${t.events}`);
    assert.doesNotMatch(failed.join(), /topsecret|bWU6/, name);
    assert.doesNotMatch(t.am.inForce!.config.shown(), /topsecret/, name);
    const messages = await t.am.tried(
      false,
      { inForce: t.am.inForce!, receiver: name, alerts: [alertOf(given({ alertname: 'a' }), START_MS, 60_000)] },
      t.signal,
    );
    assert.doesNotMatch(JSON.stringify(messages), /topsecret/, name);
  }
});

test('Retry-After is waited for', async () => {
  const t = await TestTenant.open(CONFIG);
  let count = 0;
  t.answer = () => (count++ === 0 ? { status: 503, headers: new Map([['retry-after', '20']]), body: '' } : ok());
  await t.fire({ alertname: 'a' });
  await t.clock.advance(40_000);
  assert.deepEqual(
    t.requests.map(({ atMs }) => atMs / 1000),
    [10, 30],
  );
});

test('state survives a restart: nothing is told twice, nothing is forgotten', async () => {
  const t = await TestTenant.open(CONFIG);
  const silence = {
    id: '',
    matchers: parseMatchers('x="y"'),
    startsAtMs: 0,
    endsAtMs: START_MS + 1e9,
    createdBy: '',
    comment: '',
    annotations: new Map(),
  };
  const id = await t.am.silences.set(silence, START_MS, t.signal);
  await t.fire({ alertname: 'a' }, { alertname: 'b' });
  await t.clock.advance(15_000);
  assert.equal(t.told().length, 1);
  await t.am.stop();
  await t.restart(CONFIG);
  await t.clock.advance(100_000);
  assert.deepEqual(t.told(), [], 'what was told is known');
  assert.equal(t.am.alertCount, 2);
  assert.equal(t.am.silences.get(id)?.id, id);
  await t.resolve({ alertname: 'a' }, { alertname: 'b' });
  await t.am.stop();
  await t.restart(CONFIG);
  await t.clock.advance(20_000);
  assert.deepEqual(
    t.told().map((line) => line.replace(/^\S+ /, '')),
    ['hook: resolved a, resolved b (all alerts resolved)'],
  );
});

test('a process that dies while it sends repeats that one, and says so', async () => {
  const t = await TestTenant.open(CONFIG);
  t.answer = () => new Promise(() => {});
  await t.fire({ alertname: 'a' });
  await t.clock.advance(10_000);
  assert.equal(t.requests.length, 1);
  t.answer = () => ok();
  await t.restart(CONFIG);
  await t.clock.advance(11_000);
  assert.equal(t.told().length, 2, 'the one under way, and its repetition');
  assert.deepEqual(t.events, ['repeated']);
  await t.clock.advance(300_000);
  assert.deepEqual(t.told(), []);
});

test('alerts that are again as they were told before the notification under way are told anew', async () => {
  const t = await TestTenant.open(CONFIG);
  const dies = async (change: () => Promise<unknown>, back: () => Promise<unknown>) => {
    t.answer = () => new Promise(() => {});
    await change();
    await t.clock.advance(60_000);
    const [underWay] = t.told();
    t.answer = () => ok();
    await t.restart(CONFIG);
    await back();
    await t.clock.advance(60_000);
    const shown = [underWay, ...t.told()].map((line) => line?.replace(/^\S+ /, ''));
    return { shown, events: t.events.splice(0) };
  };
  const fire = () => t.fire({ alertname: 'a' });
  const resolve = () => t.resolve({ alertname: 'a' });
  await fire();
  await t.clock.advance(15_000);
  assert.equal(t.told().length, 1);
  assert.deepEqual(await dies(resolve, fire), {
    shown: ['hook: resolved a (all alerts resolved)', 'hook: firing a (repeat interval elapsed)'],
    events: ['repeated'],
  });
  await resolve();
  await t.clock.advance(60_000);
  assert.equal(t.told().length, 1);
  assert.deepEqual(await dies(fire, resolve), {
    shown: ['hook: firing a (first notification)', 'hook: resolved a (all alerts resolved)'],
    events: ['repeated'],
  });
  await t.clock.advance(300_000);
  assert.deepEqual(t.told(), []);
});

test('a notification that the log does not take, for the store is away, goes out once', async () => {
  const t = await TestTenant.open(CONFIG);
  await t.fire({ alertname: 'a' });
  t.compareAndSet = async () => {
    throw new Error('away');
  };
  await t.clock.advance(20_000);
  assert.deepEqual(t.events, ['unclaimed', 'unclaimed']);
  await t.clock.advance(300_000);
  assert.equal(t.told().length, 1);
});

test('a claim whose answer is lost makes no notification go out twice', async () => {
  const t = await TestTenant.open(CONFIG);
  await t.fire({ alertname: 'a' });
  t.compareAndSet = async (go) => {
    await go();
    throw new Error('away');
  };
  t.answer = () => {
    t.compareAndSet = (go) => go();
    return ok();
  };
  await t.clock.advance(300_000);
  assert.equal(t.told().length, 1);
  assert.deepEqual(t.events, ['unclaimed']);
  await t.restart(CONFIG);
  await t.clock.advance(300_000);
  assert.deepEqual(t.told(), [], 'it is written that it went out');
});

test('a claim that was cut short is no notification of a process that ended', async () => {
  const t = await TestTenant.open(CONFIG);
  await t.fire({ alertname: 'a' });
  const steps: (typeof t.compareAndSet)[] = [
    async (go) => {
      await go();
      throw new Error('the answer is lost');
    },
    (go) => go(),
    (_, signal) => new Promise((_done, fail) => signal!.addEventListener('abort', () => fail(signal!.reason))),
  ];
  t.compareAndSet = (go, signal) => (steps.shift() ?? ((next) => next()))(go, signal);
  await t.clock.advance(200_000);
  assert.equal(t.told().length, 1);
  assert.deepEqual(t.events, []);
  assert.equal(steps.length, 0);
});

test('of two that hold the same tenant one sends', async () => {
  const t = await TestTenant.open(CONFIG);
  const first = t.am;
  await t.fire({ alertname: 'a' });
  await t.restart(CONFIG);
  assert.notEqual(t.am, first);
  await t.clock.advance(60_000);
  assert.deepEqual(
    t.told().map((line) => line.replace(/^\S+ /, '')),
    ['hook: firing a (first notification)'],
  );
});

test('limits are named where they refuse', async () => {
  const t = await TestTenant.open(CONFIG);
  t.limits = {
    ...noLimits,
    alertsMax: 2,
    alertLabelsMax: 5,
    alertBytesMax: 1000,
    groupsMax: 1,
    silencesMax: 1,
    silenceBytesMax: 400,
  };
  const many = Object.fromEntries(Array.from({ length: 10 }, (_, i) => [`l${i}`, 'x']));
  assert.match(
    (await t.fire(many))[0]!,
    /10 labels and annotations: limit of 5 exceeded \(alertmanager_max_alert_labels\)/,
  );
  assert.match((await t.fire({ a: 'x'.repeat(2000) }))[0]!, /\(alertmanager_max_alert_size_bytes\)/);
  assert.deepEqual(await t.fire({ alertname: 'a', group: '1' }, { alertname: 'b', group: '2' }), []);
  assert.match((await t.fire({ alertname: 'c' }))[0]!, /too many alerts, limit: 2 \(alertmanager_max_alerts_count\)/);
  assert.deepEqual(t.events, ['group refused']);
  const silence = (matchers: string) => ({
    id: '',
    matchers: parseMatchers(matchers),
    startsAtMs: 0,
    endsAtMs: START_MS + 1,
    createdBy: '',
    comment: '',
    annotations: new Map(),
  });
  await assert.rejects(
    t.am.silences.set(silence(`a="${'x'.repeat(500)}"`), START_MS, t.signal),
    /alertmanager_max_silences_size_bytes/,
  );
  await t.am.silences.set(silence('a="b"'), START_MS, t.signal);
  await assert.rejects(t.am.silences.set(silence('a="c"'), START_MS, t.signal), /alertmanager_max_silences_count/);
});

test('what exceeds the rate of notifications is told as such, and goes out with a later flush', async () => {
  const t = await TestTenant.open(CONFIG);
  t.limits = { ...noLimits, notificationRate: 0.02 };
  await t.fire({ alertname: 'a', group: '1' }, { alertname: 'b', group: '2' });
  await t.clock.advance(10_000);
  assert.equal(t.told().length, 1);
  assert.equal(t.events.length, 1);
  assert.match(t.events[0]!, /^failed rateLimited after 0: .*alertmanager_notification_rate_limit/);
  await t.clock.advance(60_000);
  assert.equal(t.told().length, 1);
  // of one kind of integration
  t.limits = { ...t.limits, notificationRatePerIntegration: new Map([['webhook', 0]]) };
  await t.fire({ alertname: 'c', group: '3' }, { alertname: 'd', group: '4' });
  await t.clock.advance(10_000);
  assert.equal(t.told().length, 2);
});

test('what a tenant does not need any more goes', async () => {
  const t = await TestTenant.open(CONFIG);
  await t.fire({ alertname: 'a' });
  await t.clock.advance(10_000);
  await t.resolve({ alertname: 'a' });
  await t.clock.advance(60_000);
  await t.clock.advance(130 * 3_600_000);
  await t.am.sweep(t.signal);
  assert.equal(t.am.alertCount, 0);
  let rows = 0;
  for await (const page of t.tables.scan('p_state')) rows += page.length;
  // the heads of the alerts, and the tenants that are known
  assert.ok(rows <= 4, `${rows}`);
});

test('a tenant without a configuration has its alerts shown, and told when one comes', async () => {
  const t = await TestTenant.open();
  await t.fire({ alertname: 'a' });
  await t.clock.advance(60_000);
  assert.deepEqual(
    (await t.am.shownAlerts()).map(({ status }) => status.state),
    ['unprocessed'],
  );
  await t.configure(CONFIG);
  await t.clock.advance(1);
  assert.equal(t.told().length, 1);
  assert.deepEqual(
    (await t.am.shownAlerts()).map(({ status, receivers }) => [status.state, receivers]),
    [['active', ['hook']]],
  );
});

test('a template that takes too much is cut off by its limit, and is not tried again', async () => {
  const loop = '{{ define "x" }}{{ range .Alerts }}{{ template "x" $ }}{{ end }}{{ end }}{{ template "x" . }}';
  const receivers = [{ name: 'hook', webhook_configs: [{ url: `http://hook/${loop}` }] }];
  const t = await TestTenant.open(JSON.stringify({ route: { receiver: 'hook', group_wait: '10s' }, receivers }));
  await t.fire({ alertname: 'a' }, { alertname: 'b' });
  const startMs = threadCpuMs();
  await t.clock.advance(11_000);
  assert.ok(threadCpuMs() - startMs < 2000);
  assert.equal(t.requests.length, 0);
  assert.match(t.events.join(), /^failed templateError after 1: .*exceeded maximum template depth \(300\)/);
});
