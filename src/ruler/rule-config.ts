import type { Document, Documents } from '../chunkstore/documents/documents.ts';
import { RULES } from '../contract/rules.ts';
import { rulerErrors } from '../model/errors-ruler.ts';
import type { ParserOptions } from '../promql/parser/parser.ts';
import { type RuleGroup, readRuleGroup } from './rule-file.ts';
import { ruleDocument, ruleDocumentParts } from './rule-source.ts';
import { groupYaml, hasComments } from './rule-yaml.ts';

/** Limits of the rules that a tenant configures; 0: none. */
export interface RuleConfigLimits {
  readonly rulerMaxRulesPerRuleGroup: number;
  readonly rulerMaxRuleGroupsPerTenant: number;
  readonly rulerMinRuleEvaluationIntervalMs: number;
}

/** Groups of a tenant, by namespace, both ascending. */
export type Namespaces = Map<string, RuleGroup[]>;

/** The rules that tenants configure, as documents: a group each. */
export class RuleConfigs {
  readonly #documents: Documents;
  readonly #parser: ParserOptions;

  constructor(documents: Documents, parser: ParserOptions) {
    this.#documents = documents;
    this.#parser = parser;
  }

  async namespaces(tenant: string, signal: AbortSignal): Promise<Namespaces> {
    const found: Namespaces = new Map();
    for (const document of await this.#documents.list(tenant, RULES, signal)) {
      const { namespace } = ruleDocumentParts(document.name);
      const groups = found.get(namespace) ?? [];
      groups.push(...this.#groupsOf(document));
      found.set(namespace, groups);
    }
    return new Map([...found].sort(([a], [b]) => (a < b ? -1 : 1)));
  }

  /** A group in YAML: as it was sent where it has comments, written anew otherwise. */
  async groupText(tenant: string, namespace: string, group: string, signal: AbortSignal): Promise<string | undefined> {
    const key = { tenant, kind: RULES, name: ruleDocument(namespace, group) };
    const document = await this.#documents.get(key, signal);
    if (document === undefined) return undefined;
    const text = Buffer.from(document.content).toString();
    const [found] = this.#groupsOf(document);
    if (found === undefined || hasComments(text)) return found === undefined ? undefined : text;
    return groupYaml(found);
  }

  /**
   * Reads a group as it is sent, with its verdicts.
   * @throws rulerErrors.ruleGroupInvalid and those about limits
   */
  async read(tenant: string, text: string, limits: RuleConfigLimits, signal: AbortSignal): Promise<RuleGroup> {
    const { rulerMaxRulesPerRuleGroup: rulesMax, rulerMinRuleEvaluationIntervalMs: intervalMinMs } = limits;
    const group = readSentGroup(text, this.#parser, rulesMax);
    if (group.intervalMs !== undefined && group.intervalMs < intervalMinMs) {
      throw rulerErrors.ruleIntervalTooShort({ intervalMs: group.intervalMs, limitMs: intervalMinMs });
    }
    const others = group.sourceTenants.filter((each) => each !== tenant);
    if (others.length > 0) throw rulerErrors.ruleSourceTenants({ tenants: others });
    signal.throwIfAborted();
    return group;
  }

  /**
   * Puts a group in place of the one of its name.
   * @param change.text the group as it was sent: kept as it is where it has comments
   * @throws as `read` does; storeErrors.documentChanged
   */
  async put(
    tenant: string,
    namespace: string,
    group: RuleGroup,
    change: {
      readonly limits: RuleConfigLimits;
      readonly user: string;
      readonly expected?: number;
      readonly text?: string;
    },
    signal: AbortSignal,
  ): Promise<void> {
    const key = { tenant, kind: RULES, name: ruleDocument(namespace, group.name) };
    const { limits, text, ...documentChange } = change;
    const groupsMax = limits.rulerMaxRuleGroupsPerTenant;
    if (groupsMax > 0) {
      const heads = await this.#documents.heads(tenant, RULES, signal);
      const actual = heads.length + (heads.some(({ name }) => name === key.name) ? 0 : 1);
      if (actual > groupsMax) throw rulerErrors.ruleGroupsLimit({ limit: groupsMax, actual });
    }
    const kept = text !== undefined && hasComments(text) ? text : groupYaml(group);
    await this.#documents.put(key, Buffer.from(kept), documentChange, signal);
  }

  /** @param group undefined: all of the namespace @returns how many groups went */
  async remove(
    tenant: string,
    namespace: string,
    group: string | undefined,
    user: string,
    signal: AbortSignal,
  ): Promise<number> {
    const names =
      group === undefined
        ? (await this.#documents.heads(tenant, RULES, signal))
            .map(({ name }) => name)
            .filter((name) => ruleDocumentParts(name).namespace === namespace)
        : [ruleDocument(namespace, group)];
    let count = 0;
    for (const name of names) {
      if ((await this.#documents.delete({ tenant, kind: RULES, name }, { user }, signal)) !== undefined) count++;
    }
    return count;
  }

  async removeAll(tenant: string, user: string, signal: AbortSignal): Promise<void> {
    for (const { name } of await this.#documents.heads(tenant, RULES, signal)) {
      await this.#documents.delete({ tenant, kind: RULES, name }, { user }, signal);
    }
  }

  async tenants(signal: AbortSignal): Promise<string[]> {
    return (await this.#documents.tenants(RULES, signal)).map(({ tenant }) => tenant).sort();
  }

  /** Also of one that is refused by now: it was taken once. */
  #groupsOf({ content }: Document): readonly RuleGroup[] {
    return readRuleGroup(Buffer.from(content).toString(), { parser: this.#parser }).groups;
  }
}

/** Bytes of a group that is sent, inclusive. It is read in one go, some 0.7 µs a byte, in a thread that others' rules need. */
const GROUP_BYTES_MAX = 64 << 10;

/**
 * Reads a group as it is sent, with its verdicts.
 * @param rulesMax 0: no limit
 * @throws rulerErrors.ruleGroupTooLarge, ruleGroupUnreadable, ruleGroupInvalid, rulesPerGroupLimit
 */
export function readSentGroup(text: string, parser: ParserOptions, rulesMax: number): RuleGroup {
  const bytes = Buffer.byteLength(text);
  if (bytes > GROUP_BYTES_MAX) throw rulerErrors.ruleGroupTooLarge({ bytes, limit: GROUP_BYTES_MAX });
  const { groups, errors } = readRuleGroup(text, { parser });
  const [group] = groups;
  if (group === undefined) throw rulerErrors.ruleGroupUnreadable({ reason: errors.join(', ') });
  if (errors.length > 0) throw rulerErrors.ruleGroupInvalid({ reasons: errors.join(', ') });
  if (rulesMax > 0 && group.rules.length > rulesMax) {
    throw rulerErrors.rulesPerGroupLimit({ limit: rulesMax, actual: group.rules.length });
  }
  return group;
}
