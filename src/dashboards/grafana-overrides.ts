import { persesUnit } from './grafana-units.ts';
import { list, object, text } from './loose-json.ts';
import type { JsonObject } from './read-dashboard.ts';

/** Settings of the fields that are meant: by name, by a pattern of names, or by the query's place. */
export interface FieldOverride {
  readonly names?: readonly string[];
  readonly pattern?: string;
  readonly query?: number;
  readonly unit?: string;
  readonly color?: string;
  readonly name?: string;
  readonly hide?: boolean;
}

const OVERRIDES_MAX = 100;
const NAMES_MAX = 100;
const CHARS_MAX = 200;

/** Settings of looks that are left out without a word: a chart here has none of them. */
const LOOKS =
  /^(custom\.(width|align|lineWidth|lineStyle|fillOpacity|pointSize|showPoints|axis\w+|lineInterpolation|cellOptions|minWidth)|decimals|links|description)$/;

/** Overrides that are drawn here, and names of properties and matchers that are kept and not done. */
export function overridesOf(given: readonly JsonObject[], refIds: readonly string[]) {
  const overrides: FieldOverride[] = [];
  const left = new Set<string>();
  for (const { matcher, properties } of given.slice(0, OVERRIDES_MAX)) {
    const fields = fieldsOf(object(matcher), refIds);
    if (fields === undefined) {
      left.add(text(object(matcher).id) || 'matcher');
      continue;
    }
    const settings: { -readonly [K in keyof FieldOverride]: FieldOverride[K] } = {};
    for (const { id, value } of list(properties).map(object)) {
      const color = id === 'color' ? colorOf(object(value)) : undefined;
      if (id === 'unit' && text(value) !== '') settings.unit = persesUnit(text(value).slice(0, CHARS_MAX));
      else if (id === 'displayName' && text(value) !== '') settings.name = text(value).slice(0, CHARS_MAX);
      else if (color !== undefined) settings.color = color;
      else if (id === 'custom.hidden') settings.hide = value === true;
      else if (id === 'custom.hideFrom') settings.hide = object(value).viz === true;
      else if (!LOOKS.test(text(id))) left.add(text(id));
    }
    if (Object.keys(settings).length > 0) overrides.push({ ...fields, ...settings });
  }
  return { overrides, left: [...left] };
}

function fieldsOf({ id, options }: JsonObject, refIds: readonly string[]): FieldOverride | undefined {
  switch (id) {
    case 'byName':
      return typeof options === 'string' ? { names: [options.slice(0, CHARS_MAX)] } : undefined;
    case 'byNames': {
      const { mode, names } = object(options);
      const all = list(names).filter((name): name is string => typeof name === 'string');
      return mode === 'exclude'
        ? undefined
        : { names: all.slice(0, NAMES_MAX).map((name) => name.slice(0, CHARS_MAX)) };
    }
    case 'byRegexp':
      return typeof options === 'string' && options.length <= CHARS_MAX ? { pattern: options } : undefined;
    case 'byFrameRefID': {
      const query = refIds.indexOf(text(options));
      return query === -1 ? undefined : { query };
    }
    default:
      return undefined;
  }
}

/** Colours of Grafana's palette by hue; its shades are one here. */
const HUES: Readonly<Record<string, string>> = {
  red: '#e02f44',
  orange: '#ff780a',
  yellow: '#d8a800',
  green: '#37872d',
  blue: '#3274d9',
  purple: '#a352cc',
};

function colorOf({ mode, fixedColor }: JsonObject): string | undefined {
  if (mode !== 'fixed') return undefined;
  const name = text(fixedColor);
  if (/^#([0-9a-f]{3}|[0-9a-f]{6})$/i.test(name)) return name;
  const hue = name.replace(/^(super-light|semi-dark|light|dark)-/, '');
  return Object.hasOwn(HUES, hue) ? HUES[hue] : undefined;
}
