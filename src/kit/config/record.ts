import { nearest } from './problem.ts';

// Small structures of a file that are no settings of their own: users, steps of relabelling.

/** Says what a value must be where it is something else. */
export type Expected = (value: unknown) => string | undefined;

export const aText = (charsMin = 0): Expected =>
  expected(
    charsMin === 0 ? 'a text' : `a text of at least ${charsMin} character${charsMin === 1 ? '' : 's'}`,
    (value) => typeof value === 'string' && value.length >= charsMin,
  );

export function aListOf(each: Expected, itemsMin = 0): Expected {
  return (value) => {
    if (!Array.isArray(value) || value.length < itemsMin)
      return itemsMin === 0 ? 'a list is wanted' : `a list of at least ${itemsMin} is wanted`;
    for (const [i, item] of value.entries()) {
      const wrong = each(item);
      if (wrong !== undefined) return `[${i}]: ${wrong}`;
    }
    return undefined;
  };
}

export function expected(what: string, holds: (value: unknown) => boolean): Expected {
  return (value) => (holds(value) ? undefined : `${what} is wanted`);
}

/** @param fields those with a `!` at the end must be there; others are refused */
export function aRecordOf(fields: Readonly<Record<string, Expected>>): Expected {
  const byName = new Map(Object.entries(fields).map(([name, check]) => [name.replace(/!$/, ''), check]));
  const required = Object.keys(fields).flatMap((name) => (name.endsWith('!') ? [name.slice(0, -1)] : []));
  return (value) => {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return 'a mapping is wanted';
    const problems: string[] = [];
    for (const [name, its] of Object.entries(value)) {
      const check = byName.get(name);
      const wrong =
        check === undefined ? `unknown key ${JSON.stringify(name)}${nearest(name, byName.keys())}` : check(its);
      if (wrong !== undefined) problems.push(check === undefined ? wrong : `${name}: ${wrong}`);
    }
    for (const name of required) if (!(name in value)) problems.push(`${name} is missing`);
    return problems.length === 0 ? undefined : problems.join('; ');
  };
}
