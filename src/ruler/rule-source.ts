import { readdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import type { Documents } from '../chunkstore/documents/documents.ts';
import { RULES, type RuleFileProblem } from '../contract/rules.ts';
import type { ParserOptions } from '../promql/parser/parser.ts';
import { type RuleGroup, readRuleFile, readRuleGroup } from './rule-file.ts';

/** A file of more is not read. */
const FILE_BYTES_MAX = 16 << 20;
const FILES_MAX = 10_000;

/** A group, and the namespace or file that it is from. */
export interface SourcedGroup {
  readonly file: string;
  readonly group: RuleGroup;
}

/** The name of a group's document. */
export function ruleDocument(namespace: string, group: string): string {
  return `${encodeURIComponent(namespace)}/${encodeURIComponent(group)}`;
}

/** Namespace and group of a document's name. */
export function ruleDocumentParts(name: string): { readonly namespace: string; readonly group: string } {
  const [namespace = '', group = ''] = name.split('/');
  return { namespace: decodeURIComponent(namespace), group: decodeURIComponent(group) };
}

/** The groups that a tenant has configured. One that cannot be read, as after a change of the language's features, is a problem. */
export async function configuredGroups(
  documents: Documents,
  tenant: string,
  parser: ParserOptions,
  signal: AbortSignal,
): Promise<{ readonly groups: SourcedGroup[]; readonly problems: RuleFileProblem[] }> {
  const groups: SourcedGroup[] = [];
  const problems: RuleFileProblem[] = [];
  for (const { name, content } of await documents.list(tenant, RULES, signal)) {
    const { namespace } = ruleDocumentParts(name);
    const { groups: read, errors } = readRuleGroup(Buffer.from(content).toString(), { parser });
    if (errors.length > 0) problems.push({ file: namespace, error: errors.join(', ') });
    else for (const group of read) groups.push({ file: namespace, group });
  }
  return { groups, problems };
}

interface KnownFile {
  readonly stamp: string;
  groups: readonly SourcedGroup[];
  problem: RuleFileProblem | undefined;
}

/** Rule files in a folder, `TENANT/*.yaml`: read again when they change; one that is wrong keeps the groups that it had. */
export class LocalRules {
  readonly #folder: string;
  readonly #parser: ParserOptions;
  readonly #files = new Map<string, Map<string, KnownFile>>();

  constructor(folder: string, parser: ParserOptions) {
    this.#folder = folder;
    this.#parser = parser;
  }

  get tenants(): string[] {
    return [...this.#files.keys()];
  }

  of(tenant: string): { readonly groups: readonly SourcedGroup[]; readonly problems: readonly RuleFileProblem[] } {
    const files = [...(this.#files.get(tenant)?.values() ?? [])];
    return {
      groups: files.flatMap(({ groups }) => groups),
      problems: files.flatMap(({ problem }) => problem ?? []),
    };
  }

  /** Looks at the folder again. @returns tenants whose groups or problems changed */
  async refresh(): Promise<string[]> {
    const changed: string[] = [];
    const tenants = new Set(await folders(this.#folder));
    for (const tenant of new Set([...tenants, ...this.#files.keys()])) {
      const before = this.#files.get(tenant) ?? new Map<string, KnownFile>();
      const now = tenants.has(tenant) ? await this.#read(tenant, before) : new Map<string, KnownFile>();
      const isSame = now.size === before.size && [...now].every(([path, file]) => before.get(path) === file);
      if (now.size === 0) this.#files.delete(tenant);
      else this.#files.set(tenant, now);
      if (!isSame) changed.push(tenant);
    }
    return changed;
  }

  async #read(tenant: string, before: ReadonlyMap<string, KnownFile>): Promise<Map<string, KnownFile>> {
    const files = new Map<string, KnownFile>();
    const folder = join(this.#folder, tenant);
    const names = (await readdir(folder).catch(() => [])).filter((name) => /\.ya?ml$/.test(name)).sort();
    for (const name of names.slice(0, FILES_MAX)) {
      const path = join(folder, name);
      const known = before.get(path);
      try {
        const { mtimeMs, size, ino } = await stat(path);
        const stamp = `${mtimeMs} ${size} ${ino}`;
        if (known?.stamp === stamp) files.set(path, known);
        else files.set(path, await this.#file(path, stamp, size, known));
      } catch (thrown) {
        if ((thrown as NodeJS.ErrnoException).code === 'ENOENT') continue;
        const error = (thrown as Error).message;
        files.set(path, { stamp: error, groups: known?.groups ?? [], problem: { file: path, error } });
      }
    }
    return files;
  }

  async #file(path: string, stamp: string, size: number, known: KnownFile | undefined): Promise<KnownFile> {
    const wrong = (error: string) => ({ stamp, groups: known?.groups ?? [], problem: { file: path, error } });
    if (size > FILE_BYTES_MAX) return wrong(`${size} bytes, limit ${FILE_BYTES_MAX}`);
    const { groups, errors } = readRuleFile(await readFile(path, 'utf8'), { parser: this.#parser });
    if (errors.length > 0) return wrong(errors.join('\n'));
    return { stamp, groups: groups.map((group) => ({ file: path, group })), problem: undefined };
  }
}

async function folders(folder: string): Promise<string[]> {
  const entries = await readdir(folder, { withFileTypes: true });
  // those of a mounted configuration lead through a link; hidden ones are its own affair
  return entries
    .filter((each) => (each.isDirectory() || each.isSymbolicLink()) && !each.name.startsWith('.'))
    .map(({ name }) => name);
}
