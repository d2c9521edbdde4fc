import { MultiSelect, Select, TextInput } from '@mantine/core';
import '@mantine/core/styles/Pill.css';
import '@mantine/core/styles/PillsInput.css';
import { useState } from 'react';
import { useParamSetter } from '../scope.tsx';
import type { ShownVariable } from './use-variables.ts';
import { ALL, defaultsOf } from './variables.ts';

const LISTED_MAX = 200;

/** The variables of a dashboard, to be chosen. */
export function VariableBar({ shown }: { readonly shown: readonly ShownVariable[] }) {
  const visible = shown.filter(({ variable: { spec } }) => spec.display?.hidden !== true);
  if (visible.length === 0) return null;
  return (
    <div className="panel-bar" role="toolbar" aria-label="variables">
      {visible.map((one) => (
        <VariablePicker key={one.variable.spec.name} shown={one} />
      ))}
    </div>
  );
}

function VariablePicker({ shown: { variable, options, chosen, problem } }: { readonly shown: ShownVariable }) {
  const setParams = useParamSetter();
  const { name, display } = variable.spec;
  const label = (display?.name ?? name).slice(0, 60);
  const choose = (values: readonly string[]) =>
    setParams((all) => {
      all.delete(`var-${name}`);
      for (const value of values) all.append(`var-${name}`, value);
    });
  if (variable.kind === 'TextVariable') {
    return variable.spec.constant ? null : (
      <TypedValue key={chosen[0]} label={label} value={chosen[0] ?? variable.spec.value} onValue={(v) => choose([v])} />
    );
  }
  const { allowAllValue, allowMultiple } = variable.spec;
  const listed = [...(allowAllValue === true ? [{ label: 'All', value: ALL }] : []), ...options];
  const picked = chosen.length > 0 ? chosen : defaultsOf(variable);
  // chosen ones that are there no more can still be seen
  const known = new Set(listed.map(({ value }) => value));
  const data = [
    ...new Map(
      [...listed, ...picked.filter((value) => !known.has(value)).map((value) => ({ label: value, value }))].map(
        (option) => [option.value, { ...option, label: option.label.slice(0, 200) }],
      ),
    ).values(),
  ];
  const common = { size: 'xs', 'aria-label': label, searchable: true, limit: LISTED_MAX, data } as const;
  return (
    <div className="variable" title={display?.description}>
      <span className="dim">{label}</span>
      {allowMultiple === true ? (
        <MultiSelect
          {...common}
          value={picked.length === 0 && allowAllValue === true ? [ALL] : [...picked]}
          error={problem?.slice(0, 200)}
          onChange={(next) => choose(next.at(-1) === ALL ? [ALL] : next.filter((value) => value !== ALL))}
        />
      ) : (
        <Select
          {...common}
          value={picked[0] ?? options[0]?.value ?? null}
          error={problem?.slice(0, 200)}
          allowDeselect={false}
          onChange={(next) => next !== null && choose([next])}
        />
      )}
    </div>
  );
}

function TypedValue(props: {
  readonly label: string;
  readonly value: string;
  readonly onValue: (value: string) => void;
}) {
  const { label, value, onValue } = props;
  const [text, setText] = useState(value);
  return (
    <form
      className="variable"
      onSubmit={(event) => {
        event.preventDefault();
        onValue(text);
      }}
    >
      <span className="dim">{label}</span>
      <TextInput
        size="xs"
        aria-label={label}
        value={text}
        onChange={(event) => setText(event.currentTarget.value)}
        onBlur={() => text !== value && onValue(text)}
      />
    </form>
  );
}
