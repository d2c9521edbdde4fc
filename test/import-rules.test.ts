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
  'template',
  'yaml',
];

/** Folder of src/ → the folders it may import from, besides itself. */
const MAY_IMPORT: Readonly<Record<string, readonly string[]>> = {
  lib: [],
  model: ['lib'],
  template: [],
  yaml: [...GROUND, 'promql'],
  storage: GROUND,
  chunk: [...GROUND, 'storage'],
  wire: [...GROUND, 'storage', 'chunk'],
  contract: DATA,
  promql: [...DATA, 'contract'],
  api: [...KIT, ...DATA, 'contract', 'promql', 'limits'],
  kit: GROUND,
  limits: [...KIT, 'storage', 'template'],
  kv: [...KIT, 'table'],
  ring: [...KIT, 'kv'],
  peer: [...KIT, ...DATA, 'contract', 'ring'],
  table: [...KIT, 'storage'],
  object: [...KIT, 'storage'],
  cache: [...KIT, 'storage'],
  chunkstore: [...KIT, ...DATA, 'limits', 'table', 'object', 'cache'],
  distributor: BELOW_SERVICES,
  ingester: BELOW_SERVICES,
  querier: BELOW_SERVICES,
  frontend: BELOW_SERVICES,
  scheduler: BELOW_SERVICES,
  ruler: BELOW_SERVICES,
  alertmanager: BELOW_SERVICES,
  compactor: BELOW_SERVICES,
  deployments: [...GROUND, 'storage', 'contract', 'promql'],
  dashboards: [...GROUND, 'storage', 'contract', 'promql'],
  services: [...KIT, 'storage', 'contract', 'promql', 'dashboards', 'deployments'],
  app: [
    ...BELOW_SERVICES,
    'peer',
    'api',
    'distributor',
    'ingester',
    'querier',
    'frontend',
    'scheduler',
    'ruler',
    'alertmanager',
    'compactor',
    'deployments',
    'dashboards',
    'services',
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
  for (const [, keyword, what, from, to] of source.matchAll(/^(import|export)\s+([^;'"]*?)(from\s+)?'([^']+)';/gm)) {
    // an export without `from` is a declaration in which a text stands
    if (keyword === 'import' || from !== undefined) add(to!, /^type\b/.test(what!), false);
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

test('no circle between folders, nor between a folder and files beside it', () => {
  // in each folder a graph of its own: what lies in it, folders as a whole
  const graphs = new Map<string, Map<string, Set<string>>>();
  for (const { file, target } of imports) {
    if (isTest(file) || !target.startsWith('src/')) continue;
    const [from, to] = [file.split('/'), target.split('/')];
    let depth = 0;
    while (from[depth] === to[depth]) depth++;
    const graph = getOrAdd(graphs, from.slice(0, depth).join('/'), () => new Map<string, Set<string>>());
    getOrAdd(graph, from[depth]!, () => new Set<string>()).add(to[depth]!);
  }
  for (const [folder, graph] of graphs) {
    assert.equal(circleIn(graph)?.join(' → '), undefined, `a circle in ${folder}`);
  }
});

function getOrAdd<K, V>(map: Map<K, V>, key: K, make: () => V): V {
  const known = map.get(key);
  if (known !== undefined) return known;
  const made = make();
  map.set(key, made);
  return made;
}

/** Nodes that lead back to the first of them, which is named again at the end. */
function circleIn(graph: ReadonlyMap<string, ReadonlySet<string>>): string[] | undefined {
  const through = new Set<string>();
  const walk = (node: string, path: readonly string[]): string[] | undefined => {
    if (path.includes(node)) return [...path.slice(path.indexOf(node)), node];
    if (through.has(node)) return undefined;
    through.add(node);
    for (const next of graph.get(node) ?? []) {
      const circle = walk(next, [...path, node]);
      if (circle !== undefined) return circle;
    }
    return undefined;
  };
  for (const node of graph.keys()) {
    const circle = walk(node, []);
    if (circle !== undefined) return circle;
  }
  return undefined;
}

test('a circle is found where there is one', () => {
  const graph = (...edges: string[]) => {
    const made = new Map<string, Set<string>>();
    for (const [from, to] of edges) getOrAdd(made, from!, () => new Set<string>()).add(to!);
    return made;
  };
  assert.deepEqual(circleIn(graph('ab', 'bc', 'cb')), ['b', 'c', 'b']);
  assert.deepEqual(circleIn(graph('ac', 'ab', 'bd', 'da')), ['a', 'b', 'd', 'a']);
  assert.equal(circleIn(graph('ab', 'ac', 'bd', 'cd')), undefined);
});

test('contracts are types and constants, of what can go over a network', () => {
  const wrong: string[] = [];
  for (const { file, target, typeOnly } of imports) {
    if (!file.startsWith('src/contract/')) continue;
    if (!typeOnly) wrong.push(`${file} imports ${target}, and not as a type`);
    if (!target.startsWith('src/')) wrong.push(`${file} imports ${target}`);
  }
  for (const file of sourceFiles('src/contract')) {
    const code = readFileSync(join(root, file), 'utf8').replaceAll(/\/\*[\s\S]*?\*\/|\/\/.*/g, '');
    for (const statement of code.split(/^(?=\S)/m)) {
      if (/^\s*$|^(import type|export (interface|type)|interface|type)\b|^[})|]/.test(statement)) continue;
      if (/^export const [A-Z][A-Z0-9_]* = (-?\d[\d_*\s]*|'[^']*');\s*$/.test(statement)) continue;
      wrong.push(`${file}: ${statement.trim()}`);
    }
    const within =
      /\b(MessagePort|SharedArrayBuffer|Worker|(?:Readonly)?(?:Map|Set)<|Labels|LabelMatcher|Buffer)\b/.exec(code);
    if (within !== null) wrong.push(`${file} names ${within[0]}, which stays within a process`);
  }
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

/** Asks the system for the time, for a timer, or for chance. */
const TIME_OR_CHANCE =
  /\b(Date\.now|performance\.now|process\.hrtime|setTimeout|setInterval|setImmediate|AbortSignal\.timeout|Math\.random|getRandomValues|new Date\(\))|node:timers|\brandomBytes\b.*'node:crypto'/;

/** Where these come from; everyone else takes a Clock or Random. */
const SOURCES_OF_TIME = [
  'src/lib/clock.ts',
  'src/lib/turn.ts',
  'src/lib/random.ts',
  'src/kit/observe/log.ts', // when a line was written
];

test('time and chance come in through a parameter', () => {
  const found = sourceFiles('src')
    .filter((file) => !isTest(file) && !/-suite\.ts$/.test(file) && !SOURCES_OF_TIME.includes(file))
    .filter((file) => TIME_OR_CHANCE.test(withoutComments(readFileSync(join(root, file), 'utf8'))));
  assert.deepEqual(found, []);
});

/** Who uses the system's clock unasked: the process and its threads, the library for those who give it none, and what only real threads need. */
const SYSTEM_CLOCK_USERS = ['src/lib/clock.ts', 'src/promql/engine.ts', 'src/kit/thread/worker.ts'];

test("nothing but the process falls back on the system's clock", () => {
  const found = sourceFiles('src')
    .filter((file) => !isTest(file) && !/-suite\.ts$/.test(file))
    .filter((file) => !file.startsWith('src/app/') && !SYSTEM_CLOCK_USERS.includes(file))
    .filter((file) => /\bsystemClock\b/.test(withoutComments(readFileSync(join(root, file), 'utf8'))));
  assert.deepEqual(found, []);
});

function withoutComments(source: string): string {
  return source.replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
}
