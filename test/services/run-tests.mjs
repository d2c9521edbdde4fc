// run-tests.mjs FILE...: node --test for tests of services, those first that take longest, so that none of them is left alone at the
// end. TEST_REPORTER is `dot`, `spec` or a reporter's file, TEST_TIMEOUT_S the time of one test.
import { basename, resolve } from 'node:path';
import { run } from 'node:test';
import { dot, spec } from 'node:test/reporters';

// They wait more than they compute; with more, stores are too slow for those that look how quickly one comes back.
const FILES_AT_ONCE = 4;
const SLOWEST = [
  'scaling',
  'e2e-faults',
  'query-frontend',
  'e2e',
  'damage',
  'cached-server',
  'cluster',
  'alertmanager',
  'faults',
];

/** Place of a file in the order. */
function rank(file) {
  const at = SLOWEST.indexOf(basename(file, '.service.test.ts'));
  return at === -1 ? SLOWEST.length : at;
}

const name = process.env.TEST_REPORTER ?? 'dot';
const reporter = { dot, spec: new spec() }[name] ?? (await import(resolve(name))).default;
const files = process.argv.slice(2).sort((a, b) => rank(a) - rank(b));
const timeout = 1000 * Number(process.env.TEST_TIMEOUT_S ?? 480);
run({ files: files.map((file) => resolve(file)), concurrency: FILES_AT_ONCE, timeout, forceExit: true })
  .on('test:fail', () => {
    process.exitCode = 1;
  })
  .compose(reporter)
  .pipe(process.stdout);
