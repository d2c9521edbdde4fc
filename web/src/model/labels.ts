/** Labels of a series as an answer has them. */
export type LabelSet = Readonly<Record<string, string>>;

const LEGACY_NAME = /^[a-zA-Z_:][\w:]*$/;

/** `name{a="b"}`, in the order of the answer. */
export function printSeries(labels: LabelSet): string {
  const { __name__: name = '', ...rest } = labels;
  const pairs = Object.entries(rest).map(([key, value]) => `${quotedName(key)}=${JSON.stringify(value)}`);
  const isLegacy = LEGACY_NAME.test(name);
  if (name !== '' && !isLegacy) return `{${[JSON.stringify(name), ...pairs].join(', ')}}`;
  return pairs.length === 0 ? name || '{}' : `${name}{${pairs.join(', ')}}`;
}

function quotedName(name: string): string {
  return /^[a-zA-Z_]\w*$/.test(name) ? name : JSON.stringify(name);
}

/** The labels that not all series have alike: the others are told once, above. */
export function differing(sets: readonly LabelSet[]): { readonly common: LabelSet; readonly own: LabelSet[] } {
  const [first = {}] = sets;
  const common = Object.fromEntries(
    Object.entries(first).filter(([name, value]) => sets.every((labels) => labels[name] === value)),
  );
  const own = sets.map((labels) => Object.fromEntries(Object.entries(labels).filter(([name]) => !(name in common))));
  return sets.length < 2 ? { common: {}, own: [...sets] } : { common, own };
}
