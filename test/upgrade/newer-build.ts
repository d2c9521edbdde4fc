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

/** The newer build's own module: what it does with its fields. It says once in each thread, to its log, what it was told with them and without. */
const UPGRADE = `import { writeSync } from 'node:fs';
import { crc32 } from 'node:zlib';
import type { RingVersion } from '../ring/version.ts';

const FIELD = 'newest-made';
const said = new Set<string>();

export function say(text: string): void {
  if (said.has(text)) return;
  said.add(text);
  writeSync(2, \`upgrade: \${text}\\n\`);
}

function told(what: string, value: unknown): boolean {
  say(\`\${what} \${value === undefined ? 'without' : 'with'} its field\`);
  return value !== undefined;
}

/** Refuses columns that are not those that the head has the digest of. */
export function checkColumns(digest: unknown, columns: Uint8Array): void {
  if (told('a push', digest) && digest !== crc32(columns)) throw new Error('upgrade: a push with another digest');
}

/** Refuses an answer that is one to other columns. */
export function checkAnswer(answer: object, columns: Uint8Array): void {
  const { digest } = answer as { digest?: unknown };
  if (told('an answer', digest) && digest !== crc32(columns)) throw new Error('upgrade: an answer with another digest');
}

export function digestOf(columns: Uint8Array): number {
  return crc32(columns);
}

/** With the number of the newest version that a newer build made. */
export function madeHere(version: RingVersion): RingVersion {
  const made = Uint8Array.of(version.number);
  return { ...version, later: new Map([...(version.later ?? []), [FIELD, made]]) };
}

/** Whether a version has the number where the one before has it, and one that can be right. */
export function hasItsNumber(version: RingVersion, before: RingVersion | undefined): boolean {
  const [number, last] = [version, before].map((each) => each?.later?.get(FIELD)?.[0]);
  if (!told('a version', number)) {
    if (last !== undefined) say('a version that lost its field');
    return last === undefined;
  }
  return number! <= version.number && number! >= (last ?? 0);
}

/** A note with the checksum of what it says. */
export function summed(note: object): object {
  return { ...note, sum: crc32(JSON.stringify(note)) };
}

/** Whether a note says what was written. */
export function isWhole({ sum, ...note }: Readonly<Record<string, unknown>>): boolean {
  if (note.later === 'sums') say('a note of its own');
  return !told('a note', sum) || sum === crc32(JSON.stringify(note));
}
`;

/**
 * The fields that the newer build has beyond this one, one each of the frames between processes (and of their protocol a version), the
 * version documents of the ring, and the log. It needs them: where they are told and not right, it takes neither frame nor version nor
 * log. What the build before wrote does not have them.
 */
const PATCHES: readonly Patch[] = [
  { file: 'kit/rpc/handshake.ts', find: 'PROTOCOL_MAX = 1;', put: 'PROTOCOL_MAX = 2;' },
  {
    file: 'peer/remote-member.ts',
    find: "const { head: answer, body } = await this.#caller.call('push', head, this.#frames.of(frames));",
    put: "const columns = this.#frames.of(frames);\n    const digest = upgrade.digestOf(columns);\n    const { head: answer, body } = await this.#caller.call('push', { ...head, digest }, columns);\n    upgrade.checkAnswer(answer as object, columns);",
  },
  {
    file: 'peer/member-role.ts',
    find: "const { tenant, limits, version, writing } = fieldsOf(head, 'push');",
    put: "const { tenant, limits, version, writing, digest } = fieldsOf(head, 'push');\n      upgrade.checkColumns(digest, body);",
  },
  {
    file: 'peer/member-role.ts',
    find: 'return { head: { ...rest, unknown: Uint32Array.from(unknown) }',
    put: 'return { head: { ...rest, ...(digest === undefined ? {} : { digest }), unknown: Uint32Array.from(unknown) }',
  },
  {
    file: 'ring/maker.ts',
    find: 'heldVersion(encodeVersion(version));',
    put: 'heldVersion(encodeVersion(upgrade.madeHere(version)));',
  },
  {
    file: 'ring/book.ts',
    find: 'if (newest === undefined ? version.number > floor : !isChild(held, newest)) return false;',
    put: 'if (newest === undefined ? version.number > floor : !isChild(held, newest)) return false;\n    if (!upgrade.hasItsNumber(version, newest?.version)) return false;',
  },
  {
    file: 'ingester/shard/group-commit.ts',
    find: 'return this.#write(() => this.#wal.writeBytes(encodeNote(note), WAL_NOTE));',
    put: "this.#write(() => this.#wal.writeBytes(encodeNote(upgrade.summed({ later: 'sums', of: Object.keys(note) })), WAL_NOTE));\n    return this.#write(() => this.#wal.writeBytes(encodeNote(upgrade.summed(note)), WAL_NOTE));",
  },
  {
    file: 'ingester/log/log-note.ts',
    find: '  const note = readNote(kernel, record);\n',
    put: "  const note = readNote(kernel, record);\n  if (!upgrade.isWhole(note)) throw new BytesError('a note with another checksum');\n",
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
    writeFileSync(join(this.#folder, 'src', 'lib', 'upgrade.ts'), UPGRADE);
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
    const line = `import * as upgrade from '${up}lib/upgrade.ts';\n`;
    const needsImport = put.includes('upgrade.') && !text.includes(line);
    writeFileSync(path, (needsImport ? line : '') + text.replace(find, () => put));
  }

  [Symbol.dispose](): void {
    rmSync(this.#folder, { recursive: true, force: true });
  }
}
