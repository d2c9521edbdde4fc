import type { Field } from './field.ts';

// biome-ignore lint/suspicious/noExplicitAny: a section holds fields of many types; `any` lets one record hold them
export type Fields = Readonly<Record<string, Field<any>>>;

/** Fields that belong together: one key of the file, one prefix of the flags. */
export interface Section<F extends Fields = Fields> {
  /** `ingester`; empty for what stands at the root. */
  readonly name: string;
  readonly help: string;
  readonly fields: F;
  /** Only for `typeof section.type`; holds nothing. */
  readonly type: ValuesOf<F>;
}

export type ValuesOf<F extends Fields> = {
  readonly [Key in keyof F]: F[Key] extends Field<infer T> ? T : never;
};

/** Sections by the name under which the code holds their values. */
export type Sections = Readonly<Record<string, Section>>;

/** The values of all sections. */
export type ConfigOf<S extends Sections> = { readonly [Key in keyof S]: S[Key]['type'] };

export function section<const F extends Fields>(name: string, help: string, fields: F): Section<F> {
  return { name, help, fields, type: undefined as never };
}

/** A section's values as long as nobody sets any. */
export function defaultsOf<F extends Fields>(of: Section<F>): ValuesOf<F> {
  return Object.fromEntries(Object.entries(of.fields).map(([name, field]) => [name, field.default])) as ValuesOf<F>;
}

/** One field with all the names it goes by. */
export interface Setting {
  /** Under which the code holds the section and the field. */
  readonly section: string;
  readonly name: string;
  /** `ingester.window`: where it stands in the file. */
  readonly path: string;
  /** Without its dash; undefined: only in the file. */
  readonly flag: string | undefined;
  readonly field: Fields[string];
}

/** All fields of all sections, in order of declaration. */
export function settingsOf(sections: Sections): Setting[] {
  return Object.entries(sections).flatMap(([sectionKey, { name: prefix, fields }]) =>
    Object.entries(fields).map(([name, field]): Setting => {
      const words = name.replace(/Ms$/, '');
      const dotted = (last: string) => (prefix === '' ? last : `${prefix}.${last}`);
      return {
        section: sectionKey,
        name,
        path: dotted(keyOf(name, field)),
        flag: field.flag === null ? undefined : (field.flag ?? dotted(lowered(words, '-'))),
        field,
      };
    }),
  );
}

/** Those that something acts on: what pages and answers list. */
export function settingsInForce(sections: Sections): Setting[] {
  return settingsOf(sections).filter(({ field }) => !field.planned);
}

/** A field's key within its section of the file: `windowMs` → `window`, `maxSeriesPerUser` → `max_series_per_user`. */
export function keyOf(name: string, field: Fields[string]): string {
  return field.key ?? lowered(name.replace(/Ms$/, ''), '_');
}

function lowered(name: string, separator: string): string {
  return name.replace(/[A-Z]/g, (letter) => `${separator}${letter.toLowerCase()}`);
}
