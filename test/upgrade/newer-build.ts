import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';

const root = join(import.meta.dirname, '../..');

/** A change of one place: the text that is there must be there once. */
interface Patch {
  readonly file: string;
  readonly find: string;
  readonly put: string;
}

/** Says something once in each thread of the process, to its log. */
const SAY = `import { writeSync } from 'node:fs';
const saidOfUpgrade = new Set<string>();
export function sayOfUpgrade(text: string): void {
  if (saidOfUpgrade.has(text)) return;
  saidOfUpgrade.add(text);
  writeSync(2, \`upgrade: \${text}\\n\`);
}
`;

/**
 * The fields that the newer build has beyond this one, one each of the frames between processes (and of their protocol a version), the version
 * documents of the ring, and the log. It says what it was told with them and without.
 */
const PATCHES: readonly Patch[] = [
  { file: 'kit/rpc/handshake.ts', find: 'PROTOCOL_MAX = 1;', put: 'PROTOCOL_MAX = 2;' },
  {
    file: 'peer/remote-member.ts',
    find: "call('push', head, this.#frames.of(frames));",
    put: "call('push', { ...head, sentMs: Date.now() }, this.#frames.of(frames));\n    sayOfUpgrade(`an answer ${'tookMs' in (answer as object) ? 'with' : 'without'} its field`);",
  },
  {
    file: 'peer/member-role.ts',
    find: "const { tenant, limits, version, writing } = fieldsOf(head, 'push');",
    put: "const { tenant, limits, version, writing, sentMs } = fieldsOf(head, 'push');\n      sayOfUpgrade(`a push ${optional(sentMs, (value) => countOf(value, 'sentMs')) === undefined ? 'without' : 'with'} its field`);",
  },
  {
    file: 'peer/member-role.ts',
    find: 'return { head: { ...rest, unknown: Uint32Array.from(unknown) }',
    put: 'return { head: { ...rest, tookMs: 1, unknown: Uint32Array.from(unknown) }',
  },
  {
    file: 'ring/maker.ts',
    find: 'heldVersion(encodeVersion(version));',
    put: "heldVersion(encodeVersion({ ...version, later: new Map([...(version.later ?? []), ['weights', Uint8Array.of(version.number)]]) }));",
  },
  {
    file: 'ring/book.ts',
    find: '    const { version, hash } = held;\n',
    put: "    const { version, hash } = held;\n    const parent = this.#chain.find((each) => each.hash === version.parent);\n    sayOfUpgrade(`a version ${version.later?.has('weights') === true ? 'with' : 'without'} its field`);\n    if (parent?.version.later?.has('weights') === true && version.later?.has('weights') !== true) sayOfUpgrade('a field of a version was lost');\n",
  },
  {
    file: 'ingester/shard/group-commit.ts',
    find: 'return this.#write(() => this.#wal.writeBytes(encodeNote(note), WAL_NOTE));',
    put: "this.#write(() => this.#wal.writeBytes(encodeNote({ later: 'weights', of: Object.keys(note) }), WAL_NOTE));\n    return this.#write(() => this.#wal.writeBytes(encodeNote({ ...note, weight: 1 }), WAL_NOTE));",
  },
  {
    file: 'ingester/log/log-note.ts',
    find: '  const note = readNote(kernel, record);\n',
    put: "  const note = readNote(kernel, record);\n  sayOfUpgrade(note.later === 'weights' ? 'a note of its own' : `a note ${'weight' in note ? 'with' : 'without'} its field`);\n",
  },
];

/** A checkout beside this one, with fields that this one lacks. */
export class NewerBuild implements Disposable {
  readonly #folder = mkdtempSync(join(tmpdir(), 'pallium-newer-'));

  /** @throws where the sources have changed so that a patch finds its place no more */
  constructor() {
    for (const name of ['src', 'bin', 'tools', 'package.json'])
      cpSync(join(root, name), join(this.#folder, name), { recursive: true });
    mkdirSync(join(this.#folder, 'kernel'));
    cpSync(join(root, 'kernel', 'build'), join(this.#folder, 'kernel', 'build'), { recursive: true });
    symlinkSync(join(root, 'node_modules'), join(this.#folder, 'node_modules'));
    writeFileSync(join(this.#folder, 'src', 'lib', 'say-of-upgrade.ts'), SAY);
    for (const patch of PATCHES) this.#patch(patch);
  }

  get launcher(): string {
    return join(this.#folder, 'bin', 'pallium.js');
  }

  #patch({ file, find, put }: Patch): void {
    const path = join(this.#folder, 'src', file);
    const text = readFileSync(path, 'utf8');
    if (text.split(find).length !== 2) throw new Error(`src/${file} does not have this once: ${find}`);
    const up = '../'.repeat(dirname(file).split('/').length);
    const line = `import { sayOfUpgrade } from '${up}lib/say-of-upgrade.ts';\n`;
    const needsImport = put.includes('sayOfUpgrade') && !text.includes(line);
    writeFileSync(path, (needsImport ? line : '') + text.replace(find, () => put));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
