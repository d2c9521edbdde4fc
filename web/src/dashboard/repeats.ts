import type { Dashboard, GridItem, Layout } from '../../../src/contract/dashboard.ts';
import { COLUMNS, settled } from './grid.ts';
import type { Value, Values } from './variables.ts';

/** Panels and sections that one is repeated as. */
const REPEATS_MAX = 50;
const PER_ROW = 4;

/** Values that each variable offers, for those that are chosen as a whole. */
export type Choices = ReadonlyMap<string, readonly string[]>;

/** A place on the grid, and the values that its panel is asked with where they are its own. */
export interface PlacedItem {
  readonly item: GridItem;
  readonly key: string;
  readonly own?: Values;
}

export interface PlacedSection {
  readonly layout: Layout['spec'];
  readonly key: string;
  /** Its place among the dashboard's sections. */
  readonly at: number;
  readonly own?: Values;
  readonly items: readonly PlacedItem[];
}

/** All sections, those that are repeated once for each value of their variable; likewise panels. */
export function sectionsOf(dashboard: Dashboard, values: Values, choices: Choices): PlacedSection[] {
  return dashboard.spec.layouts.flatMap(({ spec }, at): PlacedSection[] => {
    const each = repeated(spec.repeatVariable, values, choices);
    if (each === undefined) return [{ layout: spec, key: String(at), at, items: itemsOf(spec, values, choices) }];
    return each.map((value) => {
      const own = withValue(values, spec.repeatVariable!, value);
      return { layout: spec, key: `${at} ${value}`, at, own, items: itemsOf(spec, own, choices) };
    });
  });
}

function itemsOf({ items }: Layout['spec'], values: Values, choices: Choices): PlacedItem[] {
  const placed: { item: GridItem; own?: Values; value: string }[] = [];
  /** Rows that repeated panels take more than there were for one. */
  let pushed = 0;
  for (const item of items.toSorted((a, b) => a.y - b.y || a.x - b.x)) {
    const { repeat, y } = item;
    const each = repeated(repeat?.variable, values, choices);
    if (repeat === undefined || each === undefined) {
      placed.push({ item: { ...item, y: y + pushed }, value: '' });
      continue;
    }
    const isBelow = repeat.direction === 'v';
    const perRow = isBelow ? 1 : Math.min(each.length, repeat.perRow ?? PER_ROW);
    const width = isBelow ? item.width : Math.max(1, Math.floor(COLUMNS / perRow));
    for (const [i, value] of each.entries()) {
      const place = {
        x: isBelow ? item.x : (i % perRow) * width,
        y: y + pushed + Math.floor(i / perRow) * item.height,
        width,
      };
      placed.push({ item: { ...item, ...place }, own: withValue(values, repeat.variable, value), value });
    }
    pushed += (Math.ceil(each.length / perRow) - 1) * item.height;
  }
  const places = settled(placed.map(({ item }) => item));
  return placed.map(({ own, value }, i) => ({
    item: places[i]!,
    key: `${places[i]!.content.$ref} ${value}`,
    ...(own !== undefined && { own }),
  }));
}

/** The values of a variable that something is repeated over; undefined: it is drawn as it is. */
function repeated(variable: string | undefined, values: Values, choices: Choices): readonly string[] | undefined {
  if (variable === undefined || variable === '') return undefined;
  const value = values.get(variable);
  const each = value?.kind === 'several' ? value.values : value?.kind === 'raw' ? choices.get(variable) : undefined;
  return each === undefined || each.length === 0 ? undefined : each.slice(0, REPEATS_MAX);
}

function withValue(values: Values, variable: string, value: string): Values {
  const one: Value = { kind: 'one', value };
  return new Map([...values, [variable, one]]);
}
