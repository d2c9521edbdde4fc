import { Alert, Anchor, Button, FileButton, Group, Stack, Text, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { useState } from 'react';
import { Link } from 'wouter';
import { keptParams } from '../parts/kept-params.ts';
import { useScope } from '../scope.tsx';
import { useSession } from '../session.tsx';
import { putGroup, tryGroup } from './api.ts';
import { groupNameIn } from './preview-spans.ts';
import { groupsOfFile } from './rule-groups.ts';
import { YamlEditor } from './yaml-editor.tsx';

interface Verdict {
  readonly name: string;
  readonly text: string;
  readonly error: string | undefined;
  readonly reset: number;
  readonly isSaved: boolean;
}

/** A rule file of Prometheus, group by group: the verdict of each, then all at once. */
export function RuleImportPage() {
  const { tenant } = useScope();
  const { rights } = useSession();
  const client = useQueryClient();
  const [namespace, setNamespace] = useState('default');
  const [text, setText] = useState('groups: []\n');
  const [verdicts, setVerdicts] = useState<readonly Verdict[]>();
  const [busy, setBusy] = useState(false);
  if (!rights.includes('edit')) return <Text size="sm">To import rules a user needs the right edit.</Text>;
  const change = (next: string) => {
    setText(next);
    setVerdicts(undefined);
  };
  const look = async () => {
    setBusy(true);
    const found: Verdict[] = [];
    for (const group of groupsOfFile(text)) {
      const name = groupNameIn(group) ?? '(no name)';
      try {
        const { reset } = await tryGroup(tenant, namespace, group);
        found.push({ name, text: group, error: undefined, reset: reset.length, isSaved: false });
      } catch (thrown) {
        found.push({ name, text: group, error: String((thrown as Error).message), reset: 0, isSaved: false });
      }
      setVerdicts([...found]);
    }
    setVerdicts(found);
    setBusy(false);
  };
  const save = async () => {
    setBusy(true);
    const next = [...verdicts!];
    for (const [i, verdict] of next.entries()) {
      try {
        await putGroup(tenant, namespace, verdict.text, undefined);
        next[i] = { ...verdict, isSaved: true };
      } catch (thrown) {
        next[i] = { ...verdict, error: String((thrown as Error).message) };
      }
      setVerdicts([...next]);
    }
    await client.invalidateQueries({ queryKey: ['rules'] });
    setBusy(false);
  };
  const mayImport = verdicts !== undefined && verdicts.length > 0 && verdicts.every(({ error }) => error === undefined);
  return (
    <Stack gap="xs">
      <Group gap="sm" align="end">
        <Anchor component={Link} href={`/alerts${keptParams()}`} size="sm">
          all rules
        </Anchor>
        <TextInput
          size="xs"
          label="Namespace"
          value={namespace}
          onChange={(event) => {
            setNamespace(event.currentTarget.value);
            setVerdicts(undefined);
          }}
        />
        <FileButton
          accept=".yml,.yaml,.rules"
          onChange={(file) => {
            if (file === null) return;
            const [name = 'default'] = file.name.split('.');
            setNamespace(name);
            void file.text().then(change);
          }}
        >
          {(props) => (
            <Button {...props} size="xs" variant="default">
              From a file
            </Button>
          )}
        </FileButton>
        <Button size="xs" variant="default" loading={busy} disabled={namespace === ''} onClick={() => void look()}>
          Check
        </Button>
        <Button size="xs" disabled={!mayImport || busy} onClick={() => void save()}>
          Import
        </Button>
      </Group>
      <YamlEditor label="rule file" text={text} onText={change} />
      {verdicts?.length === 0 && <Text size="sm">There are no groups in it.</Text>}
      {verdicts?.map(({ name, error, reset, isSaved }, i) => (
        // biome-ignore lint/suspicious/noArrayIndexKey: a group is its place
        <Alert key={i} color={error === undefined ? 'teal' : 'red'} p="xs" role="status">
          <div className="wrapped">
            {name.slice(0, 200)}: {error ?? (isSaved ? 'imported' : 'right')}
            {reset > 0 && `, ${reset} active alerts would begin anew`}
          </div>
        </Alert>
      ))}
    </Stack>
  );
}
