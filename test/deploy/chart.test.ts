import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { type TestContext, test } from 'node:test';
import { parse, parseAllDocuments } from 'yaml';
import { checkCluster } from '../../src/app/cluster/clustered.ts';
import { sections } from '../../src/app/config.ts';
import { loadConfig } from '../../src/kit/config/load.ts';

const deploy = join(import.meta.dirname, '../../deploy');
const chart = join(deploy, 'helm/pallium');
const tools = join(process.env.SERVICES_HOME ?? join(homedir(), '.cache/pallium-services'), 'apps/kube-tools');
const helm = join(tools, 'helm');
const skip = existsSync(helm) ? false : 'no helm here: npm run test:deploy:full installs it';
/** Kinds of Prometheus' operator: no schema of theirs is there. */
const OTHERS = ['ServiceMonitor', 'PrometheusRule'];
const KUBERNETES = '1.34';
const SECRETS = {
  CASSANDRA_USER: 'u',
  CASSANDRA_PASSWORD: 'p',
  S3_ACCESS_KEY: 'a',
  S3_SECRET_KEY: 's',
};

/** Values that no file has: what ingesters scale by, and what needs a metrics adapter. */
const SCALED = [
  'targets.ingester.autoscaling.min=3',
  'targets.ingester.autoscaling.max=9',
  'targets.ingester.autoscaling.seriesPerPod=1500000',
  'targets.distributor.autoscaling.inFlightPerPod=50',
  'targets.querier.autoscaling.queueSeconds=0.5',
];

interface Autoscaler {
  readonly scaleTargetRef: { readonly kind: string; readonly name: string };
  readonly metrics: readonly {
    readonly resource?: { readonly name: string };
    readonly pods?: { readonly metric: { readonly name: string } };
    readonly external?: { readonly metric: { readonly name: string } };
  }[];
  readonly behavior?: { readonly scaleDown: { readonly selectPolicy: string } };
}

interface Manifest {
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly data: Readonly<Record<string, string>>;
  readonly spec: {
    readonly updateStrategy?: { readonly type: string };
    readonly template: {
      readonly spec: {
        readonly containers: readonly [{ readonly args: readonly string[]; readonly lifecycle?: object }];
      };
    };
  };
}

function run(...args: string[]): { status: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync(helm, args, { encoding: 'utf8' });
  return { status, output: stdout + stderr };
}

/** @param set values beside those of the file, as `--set` takes them */
function rendered(values: string, set: readonly string[] = []): Manifest[] {
  const given = ['-f', join(chart, values), ...set.flatMap((each) => ['--set', each])];
  const { status, output } = run('template', 'pallium', chart, '-n', 'metrics', ...given);
  assert.equal(status, 0, output);
  return parseAllDocuments(output)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** Holds manifests against Kubernetes' schemas. */
function checkSchemas(t: TestContext, manifests: readonly Manifest[]): void {
  const folder = mkdtempSync(join(tmpdir(), 'pallium-chart-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const file = join(folder, 'manifests.json');
  const items = manifests.filter(({ kind }) => !OTHERS.includes(kind));
  writeFileSync(file, items.map((item) => `---\n${JSON.stringify(item)}\n`).join(''));
  const checked = spawnSync(join(tools, 'venv/bin/kubernetes-validate'), ['-k', KUBERNETES, '--strict', file], {
    encoding: 'utf8',
  });
  assert.equal(checked.status, 0, checked.stdout + checked.stderr);
}

for (const values of ['values.yaml', 'values-small.yaml', 'values-large.yaml']) {
  test(`the chart with ${values} is what Kubernetes takes, and starts processes that take their settings`, {
    skip,
  }, (t) => {
    const lint = run('lint', '--strict', chart, '-f', join(chart, values));
    assert.equal(lint.status, 0, lint.output);
    const manifests = rendered(values);
    checkSchemas(t, manifests);

    const text = manifests.find(({ kind }) => kind === 'ConfigMap')!.data['pallium.yaml']!;
    const workloads = manifests.filter(({ kind }) => kind === 'StatefulSet' || kind === 'Deployment');
    assert.ok(workloads.length > 0);
    for (const { kind, metadata, spec } of workloads) {
      const [{ args, lifecycle }] = spec.template.spec.containers;
      const { values: config } = loadConfig(sections, {
        args: args.map((arg) =>
          arg.replaceAll('$(POD_NAME)', `${metadata.name}-0`).replaceAll('$(POD_IP)', '10.0.0.1'),
        ),
        env: SECRETS,
        readText: (path) => (path === '/etc/pallium/pallium.yaml' ? text : readFileSync(path, 'utf8')),
      });
      checkCluster(config);
      // a compactor shares days by the store alone
      const isReached = values === 'values.yaml' || args.includes('-target=compactor');
      assert.equal(args.includes('-server.peer-listen-address=0.0.0.0:9095'), !isReached, metadata.name);
      const drains = kind === 'StatefulSet' && values !== 'values.yaml';
      assert.equal(lifecycle !== undefined, drains, metadata.name);
      assert.equal(spec.updateStrategy?.type, metadata.name.includes('zone-') ? 'OnDelete' : undefined);
    }
  });
}

test('each target without state has an autoscaler, but the compactor; ingesters only grow', { skip }, (t) => {
  const manifests = rendered('values-large.yaml', SCALED);
  checkSchemas(t, manifests);
  const adapter = readFileSync(join(chart, 'files/adapter.yaml'), 'utf8');
  const scaled = new Map<string, string[]>();
  for (const { kind, spec } of manifests) {
    if (kind !== 'HorizontalPodAutoscaler') continue;
    const { scaleTargetRef, metrics, behavior } = spec as unknown as Autoscaler;
    const names = metrics.map(({ resource, pods, external }) => (resource ?? pods?.metric ?? external?.metric)!.name);
    for (const name of names) assert.ok(name === 'cpu' || adapter.includes(name), `no rule makes ${name}`);
    scaled.set(`${scaleTargetRef.kind} ${scaleTargetRef.name}`, names);
    const isGrowing = scaleTargetRef.kind === 'StatefulSet';
    assert.equal(behavior?.scaleDown.selectPolicy, isGrowing ? 'Disabled' : undefined);
  }
  const workloads = manifests.filter(({ kind }) => kind === 'Deployment' || kind === 'StatefulSet');
  assert.deepEqual(
    workloads.map(({ kind, metadata: { name } }) => `${kind} ${name}`).filter((name) => !scaled.has(name)),
    ['Deployment pallium-compactor'],
  );
  assert.deepEqual(scaled.get('Deployment pallium-distributor'), ['pallium_inflight_requests', 'cpu']);
  assert.deepEqual(scaled.get('Deployment pallium-querier'), ['pallium_query_queue_seconds', 'cpu']);
  assert.deepEqual(scaled.get('StatefulSet pallium-ingester-zone-a'), ['pallium_ingester_memory_series']);
});

test('the chart refuses an autoscaler that goes by nothing', { skip }, () => {
  const values = join(chart, 'values-large.yaml');
  const { status, output } = run('template', 'p', chart, '-f', values, '--set', 'targets.ruler.autoscaling.cpu=0');
  assert.notEqual(status, 0);
  assert.match(output, /targets\.ruler\.autoscaling goes by nothing: cpu, inFlightPerPod/);
});

test('the chart refuses several processes without a key, and says how one is made', { skip }, () => {
  const values = join(chart, 'values-small.yaml');
  const { status, output } = run('template', 'pallium', chart, '-f', values, '--set', 'peer.keySecret=');
  assert.notEqual(status, 0);
  assert.match(output, /targets\.all\.clustered wants peer\.keySecret: kubectl create secret/);
});

test('processes of the compose file take their settings, and are a cluster', () => {
  const compose = parse(readFileSync(join(deploy, 'compose/compose.yaml'), 'utf8'), { merge: true }) as {
    services: Record<string, { image: string; command?: string[]; hostname?: string; volumes?: string[] }>;
    volumes: Record<string, null>;
  };
  const own = Object.values(compose.services).filter(({ image }) => image === 'pallium');
  assert.equal(new Set(own.map(({ hostname }) => hostname)).size, 3);
  for (const { command, volumes } of own) {
    assert.ok(Object.hasOwn(compose.volumes, volumes![0]!.split(':')[0]!));
    const { values: config } = loadConfig(sections, {
      args: command!,
      env: SECRETS,
      readText: () => readFileSync(join(deploy, 'compose/pallium.yaml'), 'utf8'),
    });
    checkCluster(config);
    assert.equal(config.distributor.replicationFactor, 3);
  }
});
