import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { homedir, tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
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

function rendered(values: string): Manifest[] {
  const { status, output } = run('template', 'pallium', chart, '-n', 'metrics', '-f', join(chart, values));
  assert.equal(status, 0, output);
  return parseAllDocuments(output)
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

for (const values of ['values.yaml', 'values-small.yaml', 'values-large.yaml']) {
  test(`the chart with ${values} is what Kubernetes takes, and starts processes that take their settings`, {
    skip,
  }, (t) => {
    const lint = run('lint', '--strict', chart, '-f', join(chart, values));
    assert.equal(lint.status, 0, lint.output);
    const manifests = rendered(values);
    const folder = mkdtempSync(join(tmpdir(), 'pallium-chart-'));
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const file = join(folder, 'manifests.json');
    const items = manifests.filter(({ kind }) => !OTHERS.includes(kind));
    writeFileSync(file, items.map((item) => `---\n${JSON.stringify(item)}\n`).join(''));
    const checked = spawnSync(join(tools, 'venv/bin/kubernetes-validate'), ['-k', KUBERNETES, '--strict', file], {
      encoding: 'utf8',
    });
    assert.equal(checked.status, 0, checked.stdout + checked.stderr);

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
      const drains = kind === 'StatefulSet' && values !== 'values.yaml';
      assert.equal(lifecycle !== undefined, drains, metadata.name);
      assert.equal(spec.updateStrategy?.type, metadata.name.includes('zone-') ? 'OnDelete' : undefined);
    }
  });
}

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
