import type { Unit } from '../model/units.ts';
import { unitNamed } from './model.ts';
import { patternOf } from './variables.ts';

/** Settings that a panel has for some of its fields only. */
export interface FieldSettings {
  readonly unit?: Unit;
  readonly color?: string;
  readonly name?: string;
  readonly hide?: boolean;
}

interface Override {
  readonly names?: unknown;
  readonly pattern?: unknown;
  readonly query?: unknown;
  readonly unit?: unknown;
  readonly color?: unknown;
  readonly name?: unknown;
  readonly hide?: unknown;
}

/** Whose settings a field has: later ones count. @param query the place of its query; undefined: it is of no single one */
export type SettingsOf = (name: string, query: number | undefined) => FieldSettings;

/** The settings of a panel's fields, whoever wrote them. */
export function settingsBy(spec: Readonly<Record<string, unknown>> | undefined): SettingsOf {
  const given = Array.isArray(spec?.overrides) ? (spec.overrides as readonly (Override | null)[]) : [];
  const all = given.slice(0, 100).flatMap((override) => {
    if (override === null || typeof override !== 'object') return [];
    const { names, pattern, query } = override;
    const regex = typeof pattern === 'string' ? patternOf(pattern.replace(/^\/(.*)\/[a-z]*$/s, '$1')) : undefined;
    const isOf = (name: string, at: number | undefined) =>
      (Array.isArray(names) && names.includes(name)) ||
      regex?.test(name.slice(0, 300)) === true ||
      (typeof query === 'number' && query === at);
    return [{ isOf, settings: readSettings(override) }];
  });
  return (name, query) => Object.assign({}, ...all.map(({ isOf, settings }) => (isOf(name, query) ? settings : {})));
}

function readSettings({ unit, color, name, hide }: Override): FieldSettings {
  return {
    ...(typeof unit === 'string' && { unit: unitNamed(unit) }),
    ...(typeof color === 'string' && /^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(color) && { color }),
    ...(typeof name === 'string' && name !== '' && { name }),
    ...(hide === true && { hide }),
  };
}
