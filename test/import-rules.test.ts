import assert from 'node:assert/strict';
import { readdirSync, readFileSync } from 'node:fs';
import { join, normalize, relative } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..');

const GROUND = ['lib', 'model'];
const KIT = [...GROUND, 'kit'];
const DATA = [...GROUND, 'storage', 'chunk', 'wire'];
const BELOW_SERVICES = [
  ...KIT,
  ...DATA,
  'contract',
  'promql',
  'limits',
  'table',
  'object',
  'cache',
  'chunkstore',
  'kv',
  'ring',
];

/** Folder of src/ → the folders it may import from, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  model: ['lib'],
  storage: GROUND,
  chunk: [...GROUND, 'storage'],
  wire: [...GROUND, 'storage', 'chunk'],
  contract: DATA,
  promql: [...DATA, 'contract'],
  api: [...KIT, ...DATA, 'contract', 'promql', 'limits'],
  kit: GROUND,
  limits: [...KIT, 'storage'],
  kv: KIT,
  ring: [...KIT, 'kv'],
  table: [...KIT, 'storage'],
  object: [...KIT, 'storage'],
  cache: [...KIT, 'storage'],
  chunkstore: [...KIT, ...DATA, 'limits', 'table', 'object', 'cache'],
  distributor: BELOW_SERVICES,
  ingester: BELOW_SERVICES,
  querier: BELOW_SERVICES,
  frontend: BELOW_SERVICES,
  ruler: BELOW_SERVICES,
  alertmanager: BELOW_SERVICES,
  compactor: BELOW_SERVICES,
  app: [
    ...BELOW_SERVICES,
    'api',
    'distributor',
    'ingester',
    'querier',
    'frontend',
    'ruler',
    'alertmanager',
    'compactor',
  ],
};

/** Heavy packages → the only folder that may import them; that folder is itself only imported lazily. */
const DRIVERS: Readonly<Record<string, string>> = {
  'cassandra-driver': 'src/table/cassandra',
  '@aws-sdk/client-dynamodb': 'src/table/dynamodb',
  '@google-cloud/bigtable': 'src/table/bigtable',
  '@aws-sdk/client-s3': 'src/object/s3',
  '@google-cloud/storage': 'src/object/gcs',
  '@azure/storage-blob': 'src/object/azure',
};

interface Import {
  readonly file: string;
  readonly target: string;
  /** Vanishes when types are stripped. */
  readonly typeOnly: boolean;
  readonly lazy: boolean;
}

function sourceFiles(folder: string): string[] {
  return readdirSync(join(root, folder), { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => join(folder, name));
}

function importsOf(file: string): Import[] {
  const source = readFileSync(join(root, file), 'utf8');
  const found: Import[] = [];
  const add = (to: string, typeOnly: boolean, lazy: boolean) => {
    const target = to.startsWith('.') ? relative(root, normalize(join(root, file, '..', to))) : to;
    found.push({ file, target, typeOnly, lazy });
  };
  for (const [, keyword, what, to] of source.matchAll(/^(import|export)\s+([^;'"]*?)(?:from\s+)?'([^']+)';/gm)) {
    add(to!, /^type\b/.test(what!) && keyword !== undefined, false);
  }
  for (const [, to] of source.matchAll(/\bimport\(\s*'([^']+)'\s*\)/g)) add(to!, false, true);
  return found;
}

const isTest = (file: string) => /(\.test|\/test-[^/]*)\.ts$/.test(file);
const folderOf = (path: string) => path.split('/')[1]!;
const imports = sourceFiles('src').flatMap(importsOf);

test('folders import only what lies below them', () => {
  const wrong = imports
    .filter(({ target }) => target.startsWith('src/'))
    .filter(({ file, target }) => {
      const [from, to] = [folderOf(file), folderOf(target)];
      if (from === to) return false;
      const allowed = MAY_IMPORT[from];
      assert.ok(allowed, `src/${from} has no rule yet: say here what it may import`);
      // one format's tests may use another's codec
      const ofData = isTest(file) && DATA.includes(from) && DATA.includes(to);
      // the API's tests stand on a querier in their own thread
      const ofApi = isTest(file) && from === 'api' && to === 'querier';
      return !allowed.includes(to) && !ofData && !ofApi;
    })
    .map(({ file, target }) => `${file} imports ${target}`);
  assert.deepEqual(wrong, []);
});

/** Folder of src/promql/ → the folders of it that it may import from, besides itself. Files beside them are on the floor that they import from. */
const PROMQL_MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  row: [],
  functions: ['row'],
  parser: ['functions'],
  plan: ['functions', 'parser'],
  exec: ['row', 'functions', 'parser', 'plan'],
};
/** Files of src/promql/ that every floor may import. */
const PROMQL_GROUND = ['position.ts', 'annotations.ts', 'format.ts'];

test('the floors of the query engine import only what lies below them', () => {
  const wrong = imports
    .filter(({ file, target }) => file.startsWith('src/promql/') && target.startsWith('src/promql/') && !isTest(file))
    .filter(({ file, target }) => {
      const [from, to] = [file, target].map((path) => path.split('/')[2]!);
      if (from === to) return false;
      if (PROMQL_GROUND.includes(from!)) return !PROMQL_GROUND.includes(to!);
      const allowed = PROMQL_MAY_IMPORT[from!];
      // the engine and what it answers stand on top
      if (allowed === undefined || PROMQL_GROUND.includes(to!)) return false;
      if (from === 'exec' && (to === 'result.ts' || to === 'stats.ts')) return false;
      return !allowed.includes(to!);
    })
    .map(({ file, target }) => `${file} imports ${target}`);
  assert.deepEqual(wrong, []);
});

/** Written by the build, types alone. */
const KERNEL_TYPES = 'kernel/build/kernel.d.ts';

test('nothing in src reaches out of src', () => {
  const wrong = imports
    .filter(({ target, typeOnly }) => !(target === KERNEL_TYPES && typeOnly))
    .filter(({ file, target }) => /^(test|bench|tools|kernel|web)\//.test(target) && !isTest(file))
    .map(({ file, target }) => `${file} imports ${target}`);
  assert.deepEqual(wrong, []);
});

test('the query engine and what lies below it know no Node', () => {
  const wrong = imports
    .filter(({ file }) => /^src\/(promql|model|lib)\//.test(file) && !isTest(file))
    .filter(({ target }) => target.startsWith('node:'))
    .map(({ file, target }) => `${file} imports ${target}`);
  assert.deepEqual(wrong, []);
});

test('drivers of stores are imported in one folder each, and that one lazily', () => {
  const wrong: string[] = [];
  for (const { file, target, typeOnly, lazy } of imports) {
    if (isTest(file) || typeOnly) continue;
    for (const [driver, home] of Object.entries(DRIVERS)) {
      if ((target === driver || target.startsWith(`${driver}/`)) && !file.startsWith(`${home}/`)) {
        wrong.push(`${file} imports ${driver}, which belongs into ${home}`);
      }
      if (target === driver && file === `${home}/config.ts`)
        wrong.push(`${file} imports ${driver}; settings need none`);
      // settings are declared in one place for all, so they are there before anything is chosen
      const settings = target === `${home}/config.ts`;
      if (target.startsWith(`${home}/`) && !file.startsWith(`${home}/`) && !lazy && !settings) {
        wrong.push(`${file} imports ${target} at once, not when it is needed`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});
