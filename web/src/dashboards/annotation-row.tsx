import { Button, Checkbox, Group, NativeSelect, TextInput } from '@mantine/core';
import type { Annotation } from '../../../src/contract/dashboard.ts';

const KINDS = [
  ['PrometheusPromQLAnnotation', 'where a query has values'],
  ['EventAnnotation', 'events'],
] as const;

export function newAnnotation(count: number): Annotation {
  return {
    display: { name: `annotation ${count + 1}` },
    plugin: { kind: 'PrometheusPromQLAnnotation', spec: { expr: '' } },
  };
}

export interface AnnotationRowProps {
  readonly annotation: Annotation;
  readonly onChange: (annotation: Annotation) => void;
  readonly onRemove: () => void;
}

/** An annotation of a dashboard: a query or tags, and whether it is switched on at first. */
export function AnnotationRow({ annotation, onChange, onRemove }: AnnotationRowProps) {
  const { display, plugin } = annotation;
  const spec = plugin.spec ?? {};
  const isKnown = KINDS.some(([kind]) => kind === plugin.kind);
  const text = (name: string) => (typeof spec[name] === 'string' ? spec[name] : '');
  const set = (change: Readonly<Record<string, unknown>>) =>
    onChange({ ...annotation, plugin: { ...plugin, spec: { ...spec, ...change } } });
  const tags = Array.isArray(spec.tags) ? spec.tags.filter((tag) => typeof tag === 'string') : [];
  return (
    <Group gap="xs" align="end" className="panel">
      <TextInput
        size="xs"
        label="Name"
        value={display.name}
        onChange={(event) => onChange({ ...annotation, display: { ...display, name: event.currentTarget.value } })}
      />
      <NativeSelect
        size="xs"
        label="Marks"
        value={plugin.kind}
        data={[
          ...KINDS.map(([value, label]) => ({ value, label })),
          ...(isKnown ? [] : [{ value: plugin.kind, label: `${plugin.kind.slice(0, 40)} (kept)` }]),
        ]}
        onChange={(event) => onChange({ ...annotation, plugin: { kind: event.currentTarget.value, spec: {} } })}
      />
      {plugin.kind === 'PrometheusPromQLAnnotation' && (
        <>
          <TextInput
            size="xs"
            label="Query"
            className="grows"
            placeholder="up == 0"
            value={text('expr')}
            onChange={(event) => set({ expr: event.currentTarget.value })}
          />
          <TextInput
            size="xs"
            label="Text"
            placeholder="{{instance}} is down"
            value={text('title')}
            onChange={(event) => set({ title: event.currentTarget.value })}
          />
        </>
      )}
      {plugin.kind === 'EventAnnotation' && (
        <>
          <TextInput
            size="xs"
            label="Tags or types, with commas"
            placeholder="all events"
            defaultValue={tags.join(', ')}
            onChange={(event) => {
              const all = event.currentTarget.value.split(',').map((tag) => tag.trim());
              set({ tags: all.filter((tag) => tag !== '') });
            }}
          />
          <Checkbox
            size="xs"
            label="any of them"
            checked={spec.matchAny === true}
            onChange={(event) => set({ matchAny: event.currentTarget.checked })}
          />
        </>
      )}
      <Checkbox
        size="xs"
        label="on at first"
        checked={display.hidden !== true}
        onChange={(event) => {
          const { hidden: _, ...rest } = display;
          onChange({ ...annotation, display: event.currentTarget.checked ? rest : { ...rest, hidden: true } });
        }}
      />
      <Button size="xs" variant="default" onClick={onRemove} aria-label={`remove annotation ${display.name}`}>
        Remove
      </Button>
    </Group>
  );
}
