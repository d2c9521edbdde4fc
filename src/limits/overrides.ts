import { isMap, stringify, type YAMLMap } from 'yaml';
import { isNull, SettingsReader, YamlFile } from '../kit/config/file.ts';
import { ConfigError } from '../kit/config/problem.ts';
import { keyOf, section, settingsOf } from '../kit/config/section.ts';
import { getOrMake } from '../lib/map.ts';
import { checkTenant } from '../model/tenant.ts';
import { limitsConfig, type TenantLimits } from './limits.ts';

/** Stands for all tenants that have no overrides of their own. */
export const OTHER_TENANTS = '*';

/** Tenant → only what differs from the defaults. */
export type Overrides = ReadonlyMap<string, Partial<TenantLimits>>;

/** The settings of one tenant stand in the file under their names alone. */
const settings = settingsOf({ limits: section('', '', limitsConfig.fields) });
const reader = new SettingsReader(settings);

/**
 * `overrides: {tenant: {max_series_per_user: 5}}`
 * @throws ConfigError with every problem, each with file, line and column
 */
export function parseOverrides(source: string, fileName: string): Overrides {
  const file = YamlFile.parse(source, fileName);
  const problems = [...file.problems];
  const overrides = new Map<string, Partial<TenantLimits>>();
  const entries = file.top === undefined || problems.length > 0 ? [] : file.entries(file.top, problems);
  for (const { name, place, value } of entries) {
    if (name !== 'overrides')
      problems.push(`${place}: unknown key ${JSON.stringify(name)}; only "overrides" stands here`);
    else if (isMap(value)) readTenants(file, value, overrides, problems);
    else if (!isNull(value)) problems.push(`${place}: overrides must be a mapping of tenants`);
  }
  if (problems.length > 0) throw new ConfigError([...new Set(problems)]);
  return overrides;
}

function readTenants(
  file: YamlFile,
  tenants: YAMLMap,
  overrides: Map<string, Partial<TenantLimits>>,
  problems: string[],
): void {
  // tenants may share a mapping by its alias
  const read = new Map<YAMLMap, Partial<TenantLimits>>();
  for (const { name: tenant, place, value } of file.entries(tenants, problems)) {
    try {
      checkTenant(tenant);
    } catch (thrown) {
      problems.push(`${place}: ${(thrown as Error).message}`);
      continue;
    }
    if (isNull(value)) continue;
    if (!isMap(value)) {
      problems.push(`${place}: the limits of ${tenant} must be a mapping`);
      continue;
    }
    overrides.set(
      tenant,
      getOrMake(read, value, () => readLimits(file, value, problems)),
    );
  }
}

function readLimits(file: YamlFile, limits: YAMLMap, problems: string[]): Partial<TenantLimits> {
  const read = reader.read(file, limits);
  problems.push(...read.problems);
  const own: Record<string, unknown> = {};
  for (const setting of settings) if (read.values.has(setting.path)) own[setting.name] = read.values.get(setting.path);
  return own as Partial<TenantLimits>;
}

/** The overrides as a file. */
export function showOverrides(overrides: Overrides): string {
  const tenants = [...overrides].map(([tenant, own]) => [
    tenant,
    Object.fromEntries(
      Object.entries(own).map(([name, value]) => {
        const field = (limitsConfig.fields as Record<string, (typeof settings)[number]['field']>)[name]!;
        return [keyOf(name, field), field.print(value)];
      }),
    ),
  ]);
  return tenants.length === 0 ? '{}\n' : stringify({ overrides: Object.fromEntries(tenants) });
}

/** Overrides on their way between threads: what is no plain value stands as in the file. */
export type OverridesMessage = readonly (readonly [tenant: string, own: Readonly<Record<string, unknown>>])[];

export function packOverrides(overrides: Overrides): OverridesMessage {
  return mapStructures([...overrides], (field, value) => field.print(value));
}

export function unpackOverrides(message: OverridesMessage): Overrides {
  return new Map(
    mapStructures(message, (field, value) => field.parseNode!(value)) as [string, Partial<TenantLimits>][],
  );
}

/** Overrides that tenants share stay shared in the result. */
function mapStructures(
  overrides: OverridesMessage,
  change: (field: (typeof settings)[number]['field'], value: unknown) => unknown,
): OverridesMessage {
  const changed = new Map<object, Record<string, unknown>>();
  return overrides.map(([tenant, own]) => [
    tenant,
    getOrMake(changed, own, () => {
      const next: Record<string, unknown> = { ...own };
      for (const { name, field } of settings)
        if (field.kind === 'structure' && name in next) next[name] = change(field, next[name]);
      return next;
    }),
  ]);
}
