import { quoteGo } from '../../model/labels.ts';
import { ConfigError } from '../fields/config-error.ts';
import { type Field, listOf, readFields, text, textMap } from '../fields/field.ts';
import type { GlobalConfig } from '../receivers/global.ts';
import type { Integration } from '../receivers/kind.ts';
import { receiverKinds } from '../receivers/kinds.ts';

export interface Receiver {
  readonly name: string;
  /** With its name, for queries. */
  readonly labels: ReadonlyMap<string, string>;
  readonly integrations: readonly Integration[];
}

type Complete = (global: GlobalConfig) => Integration;

const KINDS = Object.fromEntries(
  receiverKinds.map((kind) => [kind.field, listOf((reading, node) => kind.read(reading, node), `${kind.type}.Config`)]),
) as Readonly<Record<string, Field<readonly Complete[]>>>;

const FIELDS = { ...KINDS, name: text(), labels: textMap } as typeof KINDS & {
  readonly name: Field<string>;
  readonly labels: Field<ReadonlyMap<string, string>>;
};

/** Receivers that still want the global part. */
export const receivers = listOf((reading, node) => {
  const values = readFields(reading, node, 'config.plain', FIELDS, ({ name, labels }) => {
    if (name === '') throw new ConfigError('missing name in receiver');
    const label = labels.get('name') ?? name;
    if (label === name) return;
    const texts = `${quoteGo(name)}, got ${quoteGo(label)}`;
    throw new ConfigError(`receiver label "name" must match receiver name ${texts}`);
  });
  const name = values.name as string;
  const labels = new Map([...(values.labels as ReadonlyMap<string, string>), ['name', name]]);
  const complete = Object.keys(KINDS).flatMap((field) => values[field] as readonly Complete[]);
  return {
    name,
    complete: (global: GlobalConfig): Receiver => ({
      name,
      labels,
      integrations: complete.map((each) => each(global)),
    }),
  };
}, 'config.Receiver');
