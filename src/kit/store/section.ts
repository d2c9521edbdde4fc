import type { Field } from '../config/field.ts';
import { type Fields, type Section, section } from '../config/section.ts';

/**
 * A section whose flags start with another name than its path in the file, as in Cortex: `storage.cassandra.addresses` in the file,
 * `-cassandra.addresses` as a flag.
 */
export function storeSection<const F extends Fields>(path: string, flags: string, help: string, fields: F): Section<F> {
  const named = Object.entries(fields).map(([name, field]): [string, Field<unknown>] => [
    name,
    field.flag === undefined ? { ...field, flag: `${flags}.${kebab(name.replace(/Ms$/, ''))}` } : field,
  ]);
  return section(path, help, Object.fromEntries(named) as unknown as F);
}

function kebab(name: string): string {
  return name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`);
}
