import { NativeSelect } from '@mantine/core';

export interface RepeatSelectProps {
  readonly label: string;
  /** Empty: once. */
  readonly value: string;
  readonly variables: readonly string[];
  readonly onChange: (variable: string) => void;
}

/** The variable that a panel or section is repeated over. */
export function RepeatSelect({ label, value, variables, onChange }: RepeatSelectProps) {
  const all = value === '' || variables.includes(value) ? variables : [...variables, value];
  return (
    <NativeSelect
      size="xs"
      aria-label={label}
      w={170}
      value={value}
      data={[
        { value: '', label: 'not repeated' },
        ...all.map((name) => ({ value: name, label: `once for each $${name.slice(0, 60)}` })),
      ]}
      onChange={(event) => onChange(event.currentTarget.value)}
    />
  );
}
