import { readFile } from 'node:fs/promises';
import { basename, extname } from 'node:path';
import { parse, parseDocument } from 'yaml';
import { type RuleGroup, readRuleFile, readRuleGroup } from '../../ruler/rule-file.ts';
import { groupYaml } from '../../ruler/rule-yaml.ts';

/** A group as it is to be, or as a server has it: canonical YAML. */
export interface NamedGroup {
  readonly namespace: string;
  readonly name: string;
  readonly yaml: string;
}

/** A change of one group by which a server would have what files have. */
export interface GroupChange {
  readonly kind: 'add' | 'update' | 'remove';
  readonly group: NamedGroup;
}

/** How a server is reached. */
export interface RulesServer {
  /** `http://127.0.0.1:9009`, with a prefix where it has one. */
  readonly url: string;
  readonly headers: Readonly<Record<string, string>>;
}

/**
 * The groups of a file. Their namespace is what the file says in `namespace`, as those of mimirtool do, else its name without
 * the ending.
 * @throws with the verdicts
 */
export async function groupsOfFile(path: string, options: Parameters<typeof readRuleFile>[1]): Promise<NamedGroup[]> {
  const { namespace, groups } = await readNamedFile(path, options);
  return groups.map((group) => namedGroup(namespace, group));
}

/** A rule file, and the namespace of its groups. @throws with the verdicts */
export async function readNamedFile(
  path: string,
  options: Parameters<typeof readRuleFile>[1],
): Promise<{ readonly namespace: string; readonly groups: readonly RuleGroup[] }> {
  let text = await readFile(path, 'utf8');
  let namespace = basename(path, extname(path));
  const document = parseDocument(text);
  const named = document.errors.length === 0 && 'get' in document ? document.get('namespace') : undefined;
  if (typeof named === 'string') {
    namespace = named;
    document.delete('namespace');
    text = document.toString();
  }
  const { groups, errors } = readRuleFile(text, options);
  if (errors.length > 0) throw new Error(errors.map((error) => `${path}: ${error}`).join('\n'));
  return { namespace, groups };
}

/** All groups that a server has of a tenant. @throws with what it answers */
export async function groupsOfServer(server: RulesServer, signal: AbortSignal): Promise<NamedGroup[]> {
  const { status, text } = await ask(server, 'GET', '', undefined, signal);
  if (status === 404 && text.includes('no rule groups found')) return [];
  if (status !== 200) throw new Error(`the server answers ${status}: ${text.slice(0, 300).trim()}`);
  const found: NamedGroup[] = [];
  for (const [namespace, groups] of Object.entries((parse(text) ?? {}) as Record<string, unknown[]>)) {
    for (const each of groups) {
      const { groups: read } = readRuleGroup(JSON.stringify(each), { ignoreUnknownFields: true });
      for (const group of read) found.push(namedGroup(namespace, group));
    }
  }
  return found;
}

/** @param namespaces those that are compared; none: all */
export function changesBetween(
  wanted: readonly NamedGroup[],
  there: readonly NamedGroup[],
  namespaces: ReadonlySet<string>,
): GroupChange[] {
  const takes = ({ namespace }: NamedGroup) => namespaces.size === 0 || namespaces.has(namespace);
  const key = ({ namespace, name }: NamedGroup) => JSON.stringify([namespace, name]);
  const before = new Map(there.filter(takes).map((group) => [key(group), group]));
  const changes: GroupChange[] = [];
  for (const group of wanted.filter(takes)) {
    const known = before.get(key(group));
    before.delete(key(group));
    if (known === undefined) changes.push({ kind: 'add', group });
    else if (known.yaml !== group.yaml) changes.push({ kind: 'update', group });
  }
  for (const group of before.values()) changes.push({ kind: 'remove', group });
  return changes;
}

/** @throws with what the server answers */
export async function apply(server: RulesServer, { kind, group }: GroupChange, signal: AbortSignal): Promise<void> {
  const namespace = encodeURIComponent(group.namespace);
  const { status, text } =
    kind === 'remove'
      ? await ask(server, 'DELETE', `/${namespace}/${encodeURIComponent(group.name)}`, undefined, signal)
      : await ask(server, 'POST', `/${namespace}`, group.yaml, signal);
  if (status >= 300) throw new Error(`${group.namespace}/${group.name}: ${status} ${text.slice(0, 300).trim()}`);
}

function namedGroup(namespace: string, group: RuleGroup): NamedGroup {
  return { namespace, name: group.name, yaml: groupYaml(group) };
}

async function ask(
  { url, headers }: RulesServer,
  method: string,
  path: string,
  body: string | undefined,
  signal: AbortSignal,
) {
  const address = `${url.replace(/\/+$/, '')}/config/v1/rules${path}`;
  const answer = await fetch(address, { method, headers, signal, ...(body === undefined ? {} : { body }) });
  return { status: answer.status, text: await answer.text() };
}
