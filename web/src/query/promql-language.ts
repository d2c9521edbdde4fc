import type { LRLanguage } from '@codemirror/language';
import { type Diagnostic, linter } from '@codemirror/lint';
import { type Extension, StateEffect, StateField } from '@codemirror/state';
import type { Input } from '@lezer/common';
import { LanguageType, PromQLExtension, promQLLanguage } from '@prometheus-io/codemirror-promql';
import type { Values } from '../dashboard/variables.ts';
import type { SearchClient } from './completion.ts';
import { withStandIns } from './stand-ins.ts';

/** PromQL as it stands in dashboards: parsed with variables as what they stand for, at their places. */
export function promqlLanguage(values: () => Values): LRLanguage {
  const plain = promQLLanguage(LanguageType.PromQL);
  return plain.configure({
    // nothing of an older tree: what stands in for a variable may be another thing where only its end was changed
    wrap: (_, input, __, ranges) => plain.parser.createParse(readable(input, values()), [], ranges),
  });
}

function readable(input: Input, values: Values): Input {
  const text = withStandIns(input.read(0, input.length), values);
  return {
    length: input.length,
    lineChunks: false,
    chunk: (from) => text.slice(from),
    read: (from, to) => text.slice(from, to),
  };
}

/** Tells an editor what the server says of its text. */
export const tell = StateEffect.define<readonly Diagnostic[]>();

/** The server's word on the text as it is. */
const told = StateField.define<readonly Diagnostic[]>({
  create: () => [],
  update(before, { effects, docChanged }) {
    const [news] = effects.filter((effect) => effect.is(tell));
    return news?.value ?? (docChanged ? [] : before);
  },
});

/**
 * PromQL for an editor: with completion from what a tenant has, and what is wrong underlined.
 *
 * @param values of a dashboard's variables; undefined: there is no dashboard, and variables are wrong
 */
export function promql(
  client: SearchClient,
  values: (() => Values) | undefined,
): { readonly extension: Extension; readonly destroy: () => void } {
  const parts = new PromQLExtension().setComplete({ remote: client });
  const language = values === undefined ? promQLLanguage(LanguageType.PromQL) : promqlLanguage(values);
  const findFaults = parts.getLinter().promQL();
  const extension = [
    language,
    language.data.of({ autocomplete: parts.getComplete().promQL.bind(parts.getComplete()) }),
    told,
    linter(async (view) => [...(await findFaults(view)), ...view.state.field(told)], {
      needsRefresh: ({ startState, state }) => startState.field(told) !== state.field(told),
    }),
  ];
  return { extension, destroy: () => parts.destroy() };
}
