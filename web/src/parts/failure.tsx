import { Alert } from '@mantine/core';
import { IconAlertTriangle } from '@tabler/icons-react';
import { ApiProblem } from '../api/problem.ts';

/** An error, at its place. */
export function Failure({ error, title }: { readonly error: unknown; readonly title?: string }) {
  const text = error instanceof Error ? error.message : String(error);
  const status = error instanceof ApiProblem && error.status > 0 ? ` (${error.status})` : '';
  return (
    <Alert color="red" variant="light" role="alert" icon={<IconAlertTriangle size={16} />} title={title}>
      <span className="wrapped">{text + status}</span>
    </Alert>
  );
}

/** Notes of an answer; incomplete answers are told louder. */
export function Notes({
  warnings,
  infos,
}: {
  readonly warnings: readonly string[];
  readonly infos: readonly string[];
}) {
  return (
    <>
      {warnings.length > 0 && (
        <Alert color="yellow" variant="light" role="status" p="xs">
          {warnings.map((text) => (
            <div key={text} className="wrapped">
              {text}
            </div>
          ))}
        </Alert>
      )}
      {infos.length > 0 && (
        <Alert color="blue" variant="light" role="status" p="xs">
          {infos.map((text) => (
            <div key={text} className="wrapped">
              {text}
            </div>
          ))}
        </Alert>
      )}
    </>
  );
}
