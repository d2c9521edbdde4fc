import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

// Packages that are installed, and what of them runs: see SECURITY.md.

interface LockEntry {
  readonly version?: string;
  readonly resolved?: string;
  readonly integrity?: string;
  readonly link?: boolean;
  readonly hasInstallScript?: boolean;
  readonly dev?: boolean;
}

const root = join(import.meta.dirname, '..');
const read = (file: string) => readFileSync(join(root, file), 'utf8');
const lock = JSON.parse(read('package-lock.json')) as { packages: Readonly<Record<string, LockEntry>> };
const { allowScripts } = JSON.parse(read('package.json')) as { allowScripts: Readonly<Record<string, boolean>> };
/** Installed packages: where each lies, and its entry. */
const packages = Object.entries(lock.packages).filter(([at, { link }]) => at.startsWith('node_modules/') && !link);
const nameOf = (at: string) => at.slice(at.lastIndexOf('node_modules/') + 'node_modules/'.length);

/** Packages of which there are two generations, for the reason that SECURITY.md gives. */
const TWICE = ['gaxios', 'gcp-metadata', 'google-auth-library', 'google-logging-utils', 'node-fetch'];
/** Small ones, or types: not worth forcing. */
const TWICE_SMALL = [
  '@google-cloud/precise-date',
  '@opentelemetry/semantic-conventions',
  '@types/node',
  'fast-uri',
  'long',
  'node-addon-api',
];

test('every package is pinned with an integrity', () => {
  const without = packages.filter(([, { integrity }]) => !/^sha512-[\w+/]{86}==$/.test(integrity ?? ''));
  assert.deepEqual(
    without.map(([at, { version }]) => `${nameOf(at)}@${version}`),
    [],
  );
});

test('no package comes from elsewhere than the registry', () => {
  const elsewhere = packages.filter(([, { resolved, version }]) => resolved !== undefined || version === undefined);
  assert.deepEqual(
    elsewhere.map(([at]) => at),
    [],
  );
});

test('each install script is known, with the reason why it runs or does not', () => {
  const scripts = [...new Set(packages.filter(([, each]) => each.hasInstallScript).map(([at]) => nameOf(at)))].sort();
  assert.deepEqual(Object.keys(allowScripts).sort(), scripts);
  const security = read('SECURITY.md');
  for (const name of scripts) assert.ok(security.includes(`| \`${name}\` |`), `SECURITY.md says nothing of ${name}`);
  assert.deepEqual([...new Set(Object.values(allowScripts))], [false], 'none is needed');
});

test('what a server has in two versions is known', () => {
  const versions = new Map<string, Set<string>>();
  for (const [at, { version, dev }] of packages) {
    if (dev === true) continue;
    const name = nameOf(at);
    versions.set(name, (versions.get(name) ?? new Set()).add(version!));
  }
  const twice = [...versions].filter(([, all]) => all.size > 1).map(([name]) => name);
  assert.deepEqual(twice.sort(), [...TWICE, ...TWICE_SMALL].sort());
});
