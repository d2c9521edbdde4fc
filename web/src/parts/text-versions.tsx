import { Button, Group, Modal } from '@mantine/core';
import { useQuery } from '@tanstack/react-query';
import { useState } from 'react';
import { printMoment } from '../model/time-text.ts';
import { useScope } from '../scope.tsx';
import { Difference } from './difference.tsx';
import { Failure } from './failure.tsx';

/** A version of a text that is configured, as the server lists it. */
export interface TextVersion {
  readonly version: number;
  /** RFC 3339. */
  readonly time: string;
  readonly user: string;
  readonly deleted: boolean;
  readonly bytes: number;
}

export interface TextVersionsProps {
  /** Tenant, kind and name of the text. */
  readonly textKey: readonly string[];
  /** The newest first. */
  readonly versions: readonly TextVersion[];
  readonly fetchText: (version: number, signal: AbortSignal) => Promise<string>;
  /** The text in the editor. */
  readonly text: string;
  readonly onText: (text: string) => void;
  readonly onClose: () => void;
}

/** Versions of a text with their users, each to be compared with what stands in the editor, and taken into it. */
export function TextVersions({ textKey, versions, fetchText, text, onText, onClose }: TextVersionsProps) {
  const { zone } = useScope();
  const [compared, setCompared] = useState<number>();
  const { data: other, error } = useQuery({
    queryKey: ['text-version', textKey, versions, compared],
    enabled: compared !== undefined,
    queryFn: ({ signal }) => fetchText(compared!, signal),
  });
  return (
    <Modal opened onClose={onClose} title="Versions" size="xl" closeButtonProps={{ 'aria-label': 'close' }}>
      <table className="dense">
        <tbody>
          {versions.map(({ version, time, user, deleted, bytes }) => (
            <tr key={version}>
              <td>{version}</td>
              <td>{printMoment(Date.parse(time), zone)}</td>
              <td className="wrapped">{user}</td>
              <td>{deleted ? 'deleted' : `${bytes} bytes`}</td>
              <td>
                {!deleted && (
                  <Button size="compact-xs" variant="default" onClick={() => setCompared(version)}>
                    Compare
                  </Button>
                )}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
      {error && <Failure error={error} />}
      {other !== undefined && (
        <>
          <Group gap="xs" my={6}>
            <span className="dim">From version {compared} to what stands in the editor:</span>
            <Button
              size="compact-xs"
              variant="default"
              onClick={() => {
                onText(other);
                onClose();
              }}
            >
              Into the editor
            </Button>
          </Group>
          <Difference before={other} after={text} />
        </>
      )}
    </Modal>
  );
}
