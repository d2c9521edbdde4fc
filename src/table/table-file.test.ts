import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { seededRandom } from '../lib/random.ts';
import type { Row } from './client.ts';
import { EmbeddedTableStore } from './embedded.ts';
import { tableFileFault } from './table-file.ts';

const root = mkdtempSync(join(tmpdir(), 'pallium-table-file-'));
process.on('exit', () => rmSync(root, { recursive: true, force: true }));

const PAGE = 4096;
const ALL = Number.POSITIVE_INFINITY;
const bytes = (text: string) => new Uint8Array(Buffer.from(text));

/** Rows of three levels, some on pages of their own, with a list of free pages. */
async function fill(dir: string): Promise<string> {
  const store = await EmbeddedTableStore.open({ dir });
  await store.create('t');
  for (let batch = 0; batch < 10; batch++) {
    const rows: Row[] = Array.from({ length: 500 }, (_, i) => ({
      hash: bytes(`h${i % 7}`),
      range: bytes(`${batch}_${i}`),
      value: new Uint8Array(i % 10 === 0 ? 9000 : 100).fill(batch + 1),
    }));
    await store.write('t', rows);
  }
  await store.delete(
    't',
    Array.from({ length: 100 }, (_, i) => ({ hash: bytes(`h${i % 7}`), range: bytes(`3_${i}`) })),
  );
  await store.close();
  return join(dir, 't.mdb');
}

/** Kinds of damage: the file, and chance that is the same each time. */
const DAMAGE: Readonly<Record<string, (file: string, random: () => number) => void>> = {
  'cut in the middle': (file) => truncateSync(file, Math.floor(readFileSync(file).length / 2 / PAGE) * PAGE),
  'cut to its heads': (file) => truncateSync(file, 2 * PAGE),
  'cut within a head': (file) => truncateSync(file, 100),
  'cut within the second head': (file) => truncateSync(file, PAGE + 100),
  'cut to nothing': (file) => truncateSync(file, 0),
  'heads overwritten': (file, random) => overwrite(file, 0, 2 * PAGE, random),
  'second head overwritten': (file, random) => overwrite(file, PAGE, 2 * PAGE, random),
  'all overwritten': (file, random) => overwrite(file, 0, readFileSync(file).length, random),
  'all pages zero': (file) => overwrite(file, 2 * PAGE, readFileSync(file).length, () => 0),
  'a folder in its place'(file) {
    rmSync(file);
    mkdirSync(file);
  },
};

function overwrite(file: string, from: number, before: number, random: () => number): void {
  const all = readFileSync(file);
  for (let i = from; i < before; i++) all[i] = Math.floor(random() * 256);
  writeFileSync(file, all);
}

const CHILD = `
  const { EmbeddedTableStore } = await import(process.argv[1]);
  const store = await EmbeddedTableStore.open({ dir: process.argv[2] });
  const bytes = (text) => new Uint8Array(Buffer.from(text));
  const tries = {
    scan: async () => { for await (const page of store.scan('t')) void page; },
    write: () => store.write('t', [{ hash: bytes('h'), range: bytes('new'), value: bytes('v') }]),
    swap: () => store.compareAndSet('t', { hash: bytes('h'), range: bytes('c') }, undefined, bytes('v')),
    delete: () => store.delete('t', [{ hash: bytes('h1'), range: bytes('1_1') }]),
  };
  for (const [name, run] of Object.entries(tries)) {
    console.log(await run().then(() => name + ' done', (error) => name + ' ' + error.facts?.id + ': ' + error.message));
  }
  await store.create('other');
  await store.write('other', [{ hash: bytes('h'), range: bytes(''), value: bytes('v') }]);
  console.log('lives');
`;

/** Exit code and lines of a process of its own that uses the folder's table, and another table after it. */
async function use(dir: string): Promise<{ code: number | null; lines: string[] }> {
  const module = new URL('./embedded.ts', import.meta.url).href;
  const child = spawn(process.execPath, ['--input-type=module', '-e', CHILD, module, dir], { stdio: 'pipe' });
  let text = '';
  child.stdout.setEncoding('utf8').on('data', (part: string) => {
    text += part;
  });
  const code = await new Promise<number | null>((done) => child.once('close', done));
  return { code, lines: text.trim().split('\n') };
}

for (const [name, harm] of Object.entries(DAMAGE)) {
  test(`a table's file with ${name} is named, and ends nothing`, async () => {
    const dir = join(root, name.replaceAll(' ', '-'));
    harm(await fill(dir), seededRandom(7));
    const { code, lines } = await use(dir);
    assert.equal(code, 0, lines.join('\n'));
    assert.equal(lines.length, 5);
    for (const line of lines.slice(0, 4)) assert.match(line, /store-file-damaged: .*\/t\.mdb is damaged: it/);
    assert.equal(lines[4], 'lives');
  });
}

test('a page overwritten anywhere is found, or does no harm', async () => {
  const whole = join(root, 'whole');
  const file = await fill(whole);
  const pages = readFileSync(file).length / PAGE;
  const random = seededRandom(3);
  for (let round = 0; round < 6; round++) {
    const dir = join(root, `page-${round}`);
    cpSync(whole, dir, { recursive: true });
    for (let i = 0; i < 20; i++) {
      const page = 2 + Math.floor(random() * (pages - 2));
      overwrite(join(dir, 't.mdb'), page * PAGE, page * PAGE + (round % 2 === 0 ? PAGE : 40), random);
    }
    const { code, lines } = await use(dir);
    assert.deepEqual([code, lines.at(-1)], [0, 'lives'], lines.join('\n'));
  }
});

test('a file that is whole is never taken for damaged, whatever was written, replaced and deleted', async () => {
  const dir = join(root, 'busy');
  const random = seededRandom(11);
  const some = (below: number) => Math.floor(random() * below);
  const key = () => ({ hash: bytes(`h${some(20)}`), range: bytes(`${some(300)}`) });
  const store = await EmbeddedTableStore.open({ dir });
  await store.create('t');
  for (let round = 0; round < 120; round++) {
    await store.write(
      't',
      Array.from({ length: 100 }, () => ({
        ...key(),
        value: new Uint8Array(some(10) === 0 ? some(60_000) : some(300)),
      })),
    );
    if (round % 3 === 0) await store.delete('t', Array.from({ length: 200 }, key));
    if (round % 40 === 39) {
      const keys = Array.from({ length: 20 * 300 }, (_, i) => ({
        hash: bytes(`h${i % 20}`),
        range: bytes(`${Math.floor(i / 20)}`),
      }));
      await store.delete('t', keys);
    }
    assert.equal(tableFileFault(join(dir, 't.mdb'), round % 2 === 0 ? ALL : 64), undefined, `round ${round}`);
  }
  await store.close();
});
