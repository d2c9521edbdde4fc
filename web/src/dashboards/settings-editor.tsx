import { Button, Checkbox, Group, Modal, NativeSelect, Stack, Text, Textarea, TextInput } from '@mantine/core';
import { useState } from 'react';
import type { Annotation, Dashboard, ListVariable, Variable } from '../../../src/contract/dashboard.ts';
import { parseDuration } from '../model/duration.ts';
import { AnnotationRow, newAnnotation } from './annotation-row.tsx';
import { withSpec } from './edits.ts';
import { newRow, type Row, withoutRow, withValue } from './rows.ts';

export interface SettingsEditorProps {
  readonly dashboard: Dashboard;
  readonly onClose: () => void;
  readonly onDone: (dashboard: Dashboard) => void;
}

/** Title, description, tags, variables and annotations. */
export function SettingsEditor({ dashboard, onClose, onDone }: SettingsEditorProps) {
  const { spec } = dashboard;
  const [title, setTitle] = useState(spec.display.name);
  const [description, setDescription] = useState(spec.display.description ?? '');
  const [tags, setTags] = useState((spec.tags ?? []).join(' '));
  const [folder, setFolder] = useState(dashboard.metadata.folder ?? '');
  const [interval, setInterval] = useState(spec.sampleInterval ?? '');
  const [variables, setVariables] = useState<readonly Row<Variable>[]>(() => spec.variables.map(newRow));
  const [annotations, setAnnotations] = useState<readonly Row<Annotation>[]>(() =>
    (spec.annotations ?? []).map(newRow),
  );
  const names = variables.map(({ value }) => value.spec.name);
  const wrong = names.find((name, i) => !/^\w+$/.test(name) || names.indexOf(name) !== i);
  const intervalWrong = interval !== '' && parseDuration(interval) === undefined;
  const done = () => {
    const { sampleInterval: _, ...rest } = spec;
    onDone(
      withSpec(
        { ...dashboard, metadata: { ...dashboard.metadata, folder }, spec: rest },
        {
          display: { ...spec.display, name: title, description },
          tags: tags.split(/\s+/).filter((tag) => tag !== ''),
          variables: variables.map(({ value }) => value),
          ...((annotations.length > 0 || spec.annotations !== undefined) && {
            annotations: annotations.map(({ value }) => value),
          }),
          ...(interval !== '' && { sampleInterval: interval }),
        },
      ),
    );
  };
  return (
    <Modal opened onClose={onClose} title="Settings" size="lg" closeButtonProps={{ 'aria-label': 'close' }}>
      <Stack gap="xs">
        <TextInput size="xs" label="Title" value={title} onChange={(event) => setTitle(event.currentTarget.value)} />
        <Textarea
          size="xs"
          label="Description"
          value={description}
          onChange={(event) => setDescription(event.currentTarget.value)}
        />
        <Group gap="xs" grow>
          <TextInput
            size="xs"
            label="Folder"
            value={folder}
            onChange={(event) => setFolder(event.currentTarget.value)}
          />
          <TextInput size="xs" label="Tags" value={tags} onChange={(event) => setTags(event.currentTarget.value)} />
          <TextInput
            size="xs"
            label="Between two samples"
            placeholder="found from the data"
            value={interval}
            error={intervalWrong && '15s, 1m, …'}
            onChange={(event) => setInterval(event.currentTarget.value)}
          />
        </Group>
        <Text size="sm" fw={600}>
          Variables
        </Text>
        {variables.map(({ key, value }) => (
          <VariableRow
            key={key}
            variable={value}
            onChange={(next) => setVariables((all) => withValue(all, key, next))}
            onRemove={() => setVariables((all) => withoutRow(all, key))}
          />
        ))}
        {wrong !== undefined && (
          <Text size="xs" c="red">
            A name is of letters, digits and _, and stands once: {wrong.slice(0, 60) || 'one is empty'}
          </Text>
        )}
        <Group gap="xs">
          <Button
            size="xs"
            variant="default"
            onClick={() => setVariables((all) => [...all, newRow(newVariable(all.length))])}
          >
            Add variable
          </Button>
        </Group>
        <Text size="sm" fw={600}>
          Annotations
        </Text>
        {annotations.map(({ key, value }) => (
          <AnnotationRow
            key={key}
            annotation={value}
            onChange={(next) => setAnnotations((all) => withValue(all, key, next))}
            onRemove={() => setAnnotations((all) => withoutRow(all, key))}
          />
        ))}
        <Group gap="xs">
          <Button
            size="xs"
            variant="default"
            onClick={() => setAnnotations((all) => [...all, newRow(newAnnotation(all.length))])}
          >
            Add annotation
          </Button>
          <Button size="xs" disabled={title.trim() === '' || wrong !== undefined || intervalWrong} onClick={done}>
            Done
          </Button>
        </Group>
      </Stack>
    </Modal>
  );
}

const KINDS = [
  ['PrometheusLabelValuesVariable', 'values of a label'],
  ['PrometheusPromQLVariable', 'a query'],
  ['StaticListVariable', 'a list'],
  ['TextVariable', 'a text'],
] as const;

function newVariable(count: number): Variable {
  return {
    kind: 'ListVariable',
    spec: {
      name: `variable${count + 1}`,
      allowMultiple: false,
      allowAllValue: false,
      plugin: { kind: 'PrometheusLabelValuesVariable', spec: { labelName: 'job', matchers: [] } },
    },
  };
}

interface VariableRowProps {
  readonly variable: Variable;
  readonly onChange: (variable: Variable) => void;
  readonly onRemove: () => void;
}

function VariableRow({ variable, onChange, onRemove }: VariableRowProps) {
  const { name } = variable.spec;
  const kind = variable.kind === 'TextVariable' ? 'TextVariable' : variable.spec.plugin.kind;
  const isKnown = KINDS.some(([one]) => one === kind);
  return (
    <Group gap="xs" align="end" className="panel">
      <TextInput
        size="xs"
        label="Name"
        value={name}
        onChange={(event) => onChange(withName(variable, event.currentTarget.value))}
      />
      <NativeSelect
        size="xs"
        label="From"
        value={kind}
        data={[
          ...KINDS.map(([value, label]) => ({ value, label })),
          ...(isKnown ? [] : [{ value: kind, label: `${kind.slice(0, 40)} (kept)` }]),
        ]}
        onChange={(event) => onChange(ofKind(variable, event.currentTarget.value))}
      />
      {variable.kind === 'TextVariable' ? (
        <TextInput
          size="xs"
          label="Value"
          value={variable.spec.value}
          onChange={(event) => onChange({ ...variable, spec: { ...variable.spec, value: event.currentTarget.value } })}
        />
      ) : (
        <ListFields variable={variable} onChange={onChange} />
      )}
      <Button size="xs" variant="default" onClick={onRemove} aria-label={`remove variable ${name}`}>
        Remove
      </Button>
    </Group>
  );
}

interface ListPluginSpec {
  readonly labelName?: string;
  readonly matchers?: readonly string[];
  readonly expr?: string;
  readonly values?: readonly (string | { readonly value: string })[];
}

function ListFields({ variable, onChange }: { readonly variable: ListVariable } & Pick<VariableRowProps, 'onChange'>) {
  const { plugin, allowMultiple, allowAllValue } = variable.spec;
  const spec = (plugin.spec ?? {}) as ListPluginSpec;
  const set = (change: Partial<ListVariable['spec']>) =>
    onChange({ ...variable, spec: { ...variable.spec, ...change } });
  const setPlugin = (change: ListPluginSpec) => set({ plugin: { ...plugin, spec: { ...plugin.spec, ...change } } });
  return (
    <>
      {plugin.kind === 'PrometheusLabelValuesVariable' && (
        <TextInput
          size="xs"
          label="Of the series"
          placeholder='up{env="$env"}'
          value={spec.matchers?.[0] ?? ''}
          onChange={(event) => {
            const text = event.currentTarget.value;
            setPlugin({ matchers: text === '' ? [] : [text] });
          }}
        />
      )}
      {plugin.kind === 'PrometheusPromQLVariable' && (
        <TextInput
          size="xs"
          label="Query"
          value={spec.expr ?? ''}
          onChange={(event) => setPlugin({ expr: event.currentTarget.value })}
        />
      )}
      {(plugin.kind === 'PrometheusLabelValuesVariable' || plugin.kind === 'PrometheusPromQLVariable') && (
        <TextInput
          size="xs"
          label="Label"
          value={spec.labelName ?? ''}
          onChange={(event) => setPlugin({ labelName: event.currentTarget.value })}
        />
      )}
      {plugin.kind === 'StaticListVariable' && (
        <TextInput
          size="xs"
          label="Values, with commas"
          defaultValue={(spec.values ?? []).map((one) => (typeof one === 'string' ? one : one.value)).join(', ')}
          onChange={(event) => {
            const all = event.currentTarget.value.split(',').map((text) => text.trim());
            setPlugin({ values: all.filter((text) => text !== '') });
          }}
        />
      )}
      <Checkbox
        size="xs"
        label="several"
        checked={allowMultiple === true}
        onChange={(event) => set({ allowMultiple: event.currentTarget.checked })}
      />
      <Checkbox
        size="xs"
        label="all"
        checked={allowAllValue === true}
        onChange={(event) => set({ allowAllValue: event.currentTarget.checked })}
      />
    </>
  );
}

function withName(variable: Variable, name: string): Variable {
  return variable.kind === 'TextVariable'
    ? { ...variable, spec: { ...variable.spec, name } }
    : { ...variable, spec: { ...variable.spec, name } };
}

function ofKind({ spec: { name, display } }: Variable, kind: string): Variable {
  const common = { name, ...(display !== undefined && { display }) };
  if (kind === 'TextVariable') return { kind, spec: { ...common, value: '' } };
  return { kind: 'ListVariable', spec: { ...common, plugin: { kind, spec: {} } } };
}
