import { Button, Group, TextInput } from '@mantine/core';
import { useQueryClient } from '@tanstack/react-query';
import { type FormEvent, useState } from 'react';
import { send } from '../api/http.ts';
import { printMoment, readMoment } from '../model/time-text.ts';
import { Failure } from '../parts/failure.tsx';
import { useScope } from '../scope.tsx';

export interface EventService {
  readonly cluster: string;
  readonly namespace: string;
  readonly name: string;
}

/** Sends in an event of a service: a deployment where a version is named, else a note. */
export function AddEvent({ service }: { readonly service: EventService }) {
  const { tenant, zone } = useScope();
  const client = useQueryClient();
  const [text, setText] = useState('');
  const [version, setVersion] = useState('');
  const [time, setTime] = useState('');
  const [error, setError] = useState<unknown>();
  const timeMs = time.trim() === '' ? Date.now() : readMoment(time, zone);
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (timeMs === undefined) return;
    const json = {
      service,
      time: timeMs,
      ...(version.trim() !== '' && { to: version.trim() }),
      ...(text.trim() !== '' && { text: text.trim() }),
    };
    try {
      await send({ path: '/api/v1/events', method: 'POST', tenant, json });
      setError(undefined);
      setText('');
      setVersion('');
    } catch (thrown) {
      setError(thrown);
    }
    await client.invalidateQueries({ queryKey: ['events'] });
  };
  return (
    <details className="section">
      <summary>Add an event</summary>
      <form onSubmit={submit} aria-label="new event">
        <Group gap="xs" align="end" mb="sm">
          <TextInput
            size="xs"
            flex={1}
            miw={200}
            label="What happened"
            value={text}
            onChange={(event) => setText(event.currentTarget.value)}
          />
          <TextInput
            size="xs"
            w={140}
            label="Version deployed"
            value={version}
            onChange={(event) => setVersion(event.currentTarget.value)}
          />
          <TextInput
            size="xs"
            w={180}
            label="at"
            placeholder={printMoment(Date.now(), zone)}
            value={time}
            error={timeMs === undefined}
            onChange={(event) => setTime(event.currentTarget.value)}
          />
          <Button
            size="xs"
            type="submit"
            disabled={timeMs === undefined || (text.trim() === '' && version.trim() === '')}
          >
            Add
          </Button>
        </Group>
        {error !== undefined && <Failure error={error} />}
      </form>
    </details>
  );
}
